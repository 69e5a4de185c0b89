"""What the person who watches a run gets to see: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

from slmkit.api import Progress
from slmkit.recipe.notebook import NotebookWatch, in_notebook

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rich.progress import Progress as Bars
    from rich.progress import TaskID

TALK = "SLMKIT_TALK"
"""How much is said: `quiet`, `verbose`, or as ever where it is not set."""
PAUSE = 10.0
"""Seconds between two plain lines of progress."""


class Watch(Protocol):
    """Shows how a run goes on."""

    def say(self, line: str) -> None:
        """Show a line."""

    def progress(self, text: str, total: int | None) -> AbstractContextManager[Progress]:
        """Show how far some work has come, as long as the `with` block lasts."""


class PlainWatch:
    """Lines, for log files and notebooks; a line of progress after each `pause` seconds."""

    def __init__(self, stream: TextIO | None = None, pause: float = PAUSE) -> None:
        self.stream = stream if stream is not None else sys.stderr
        self.pause = pause

    def say(self, line: str) -> None:
        self.stream.write(line + "\n")
        self.stream.flush()

    @contextmanager
    def progress(self, text: str, total: int | None) -> Iterator[Progress]:
        yield _Lines(self, text, total)


class _Lines:
    """Progress as a line now and then."""

    def __init__(self, watch: PlainWatch, title: str, total: int | None) -> None:
        self.watch, self.title, self.total = watch, title, total
        self.shown = time.monotonic()

    def __call__(self, done: int, total: int | None = None, text: str = "") -> None:
        self.total = self.total if total is None else total
        if time.monotonic() - self.shown < self.watch.pause:
            return
        self.shown = time.monotonic()
        count = f"{done}" if self.total is None else f"{done}/{self.total}"
        self.watch.say(f"  {self.title}: {count} {text}".rstrip())


class SilentWatch:
    """Nothing, for a process that helps another one."""

    def say(self, line: str) -> None:
        """Show nothing."""

    @contextmanager
    def progress(self, text: str, total: int | None) -> Iterator[Progress]:
        yield lambda done, total=None, text="": None


class BarWatch:
    """Bars that move, by rich."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self.console = Console(stderr=True, highlight=False)
        columns = (
            TextColumn("  {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            Remaining(),
            TextColumn("{task.fields[note]}"),
        )
        self.bars = Progress(*columns, console=self.console, transient=True)
        self.open = 0

    def say(self, line: str) -> None:
        self.console.print(line, markup=False, soft_wrap=True)

    @contextmanager
    def progress(self, text: str, total: int | None) -> Iterator[Progress]:
        if self.open == 0:
            self.bars.start()
        self.open += 1
        bar = _Bar(self.bars, self.bars.add_task(text, total=total, note=""))
        try:
            yield bar
        finally:
            self.bars.remove_task(bar.task)
            self.open -= 1
            if self.open == 0:
                self.bars.stop()


class _Bar:
    """Progress as one of rich's bars."""

    def __init__(self, bars: Bars, task: TaskID) -> None:
        self.bars, self.task = bars, task

    def __call__(self, done: int, total: int | None = None, text: str = "") -> None:
        if total is not None:
            self.bars.update(self.task, total=total)
        self.bars.update(self.task, completed=done, note=text)


def default_watch() -> Watch:
    """Bars where someone sits at a terminal or a notebook, else lines; as much as `SLMKIT_TALK`
    asks for."""
    talk = os.environ.get(TALK)
    if talk == "quiet":
        return SilentWatch()
    if talk == "verbose":
        return PlainWatch(pause=1.0)
    if in_notebook():
        return NotebookWatch()
    return BarWatch() if sys.stderr.isatty() else PlainWatch()


def duration(seconds: float) -> str:
    """A time for people: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
