"""How many frames of codes came out otherwise, over all comparisons of a check."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Codes

NEAR_TIES = 1e-4
"""Of the frames so many may differ: sums of floats may come out in another order, and a frame that
lies between two entries then changes sides. Fewer than 10,000 frames must all be equal."""


@dataclass
class Tally:
    """What a tokenizer was found to do.

    Attributes:
        frames: compared with what they should be; `differing` of them were not equal.
        batch_speed: how many times as fast eight sounds are in a batch as one by one.
        streams: whether it was held to the laws of streaming.
    """

    frames: int = 0
    differing: int = 0
    batch_speed: float = 0.0
    streams: bool = False

    def compare(self, found: Codes, wanted: Codes, law: str) -> None:
        """Hold codes to others. Raises AssertionError, which says what `law` is broken."""
        assert found.lengths.tolist() == wanted.lengths.tolist(), (
            f"{law}: {found.lengths.tolist()} frames, not {wanted.lengths.tolist()}"
        )
        for row in range(len(wanted)):
            one, other = found.row(row).values, wanted.row(row).values
            self.frames += one.shape[2]
            self.differing += int((one != other).any(dim=1).sum())
        assert self.differing <= NEAR_TIES * self.frames, (
            f"{law}: {self.differing} of {self.frames} frames compared up to now differ"
        )

    def __str__(self) -> str:
        what = "streaming, " if self.streams else ""
        return (
            f"{what}{self.differing} of {self.frames} frames differ, eight in a batch are "
            f"{self.batch_speed:.1f} times as fast as one by one"
        )
