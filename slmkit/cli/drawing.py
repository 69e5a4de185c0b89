"""The figure that `slmkit show` draws of a decoding strategy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slmkit.host import Shelved

STRATEGY = "decoding"


def check_figure(kind: str | None, file: Path) -> None:
    """Raise SlmkitError where something else than a strategy, or than an SVG, is asked for."""
    from slmkit.api import SlmkitError

    if kind not in (None, STRATEGY):
        raise SlmkitError(
            f"--figure draws decoding strategies, not a {kind}: slmkit show {STRATEGY} NAME"
        )
    if file.suffix.lower() != ".svg":
        raise SlmkitError(f"--figure {file}: figures are SVG: give a name that ends in .svg")


def draw(part: Shelved, file: Path, codebooks: int, frames: int) -> str:
    """Write the figure of a strategy; in words, what is on it. Raises MisfitError."""
    from slmkit.data.atomic import write_atomically
    from slmkit.drawing.grid import draw_grid
    from slmkit.host import build_part, make_options
    from slmkit.lm.example import WORD, example_grid

    rows = example_grid(build_part(part, make_options(part, {})), codebooks, frames)
    title = f"{part.name}: the text {WORD}, then {frames} frames of {codebooks} codebooks"
    write_atomically(file, draw_grid(rows, title).encode())
    return f"{file}: {len(rows[0])} steps, {len(rows)} stream{'s' if len(rows) > 1 else ''}"
