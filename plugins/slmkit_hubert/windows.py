"""Long waves in overlapping windows of frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Window:
    """Frames start..stop-1 are worked out together, and first..last-1 of them are kept."""

    start: int
    stop: int
    first: int
    last: int

    @property
    def kept(self) -> slice:
        """What is kept, counted from the window's start."""
        return slice(self.first - self.start, self.last - self.start)


def windows(frames: int, longest: int, context: int) -> Iterator[Window]:
    """Windows of at most `longest` frames whose kept frames are all of them, each once.

    At a cut both windows go on for `context` frames that they do not keep. What fits into one
    window is not cut; else all windows keep about the same number.
    """
    if frames <= longest:
        yield Window(0, frames, 0, frames)
        return
    room = longest - 2 * context
    count = -(-frames // room)
    cuts = [frames * number // count for number in range(count + 1)]
    for first, last in pairwise(cuts):
        yield Window(max(0, first - context), min(frames, last + context), first, last)
