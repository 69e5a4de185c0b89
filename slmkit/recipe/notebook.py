"""Progress in a notebook: one bar that moves, and lines above it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

from slmkit.api import Progress
from slmkit.drawing.style import framed

PAUSE = 0.2
"""Seconds between two drawings of a bar."""


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; asks nothing of one that is not."""
    kernel = sys.modules.get("ipykernel.zmqshell")
    shell = sys.modules.get("IPython.core.getipython")
    return kernel is not None and shell is not None and shell.get_ipython() is not None


class NotebookWatch:
    """Lines as they come, and under them a bar that is taken away when its work is done."""

    def say(self, line: str) -> None:
        """Show a line."""
        sys.stdout.write(line + "\n")

    @contextmanager
    def progress(self, text: str, total: int | None) -> Iterator[Progress]:
        """Show how far some work has come, as long as the `with` block lasts."""
        shown = _Bar(text, total)
        try:
            yield shown
        finally:
            shown.clear()


class _Bar:
    """Progress as a bar in the output of a cell."""

    def __init__(self, title: str, total: int | None) -> None:
        from IPython.display import HTML, display

        self.title, self.total, self.html = title, total, HTML
        self.handle = display(HTML(bar(title, 0, total, "")), display_id=True)
        self.drawn = time.monotonic()

    def __call__(self, done: int, total: int | None = None, text: str = "") -> None:
        self.total = self.total if total is None else total
        if time.monotonic() - self.drawn >= PAUSE:
            self.drawn = time.monotonic()
            self.handle.update(self.html(bar(self.title, done, self.total, text)))

    def clear(self) -> None:
        """Take the bar away."""
        self.handle.update(self.html(""))


def bar(title: str, done: int, total: int | None, text: str) -> str:
    """A bar as HTML; without a total it only counts."""
    count = f"{done}" if total is None else f"{done}/{total}"
    value = "" if total is None else f' value="{done}" max="{max(1, total)}"'
    return framed(f"<div>{escape(title)} <progress{value}></progress> {count} {escape(text)}</div>")
