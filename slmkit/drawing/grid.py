"""A drawing of a grid of streams and steps, as one SVG that needs no other file."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from slmkit.drawing.style import INK, framed, note

LABEL = "#1d2430"
"""Of what stands in the cells, which are light on a dark page as well."""
TEXT, SPECIAL = "#e9e4d8", "#c3c8d1"
COARSE, FINE = 210 / 360, 20 / 360
"""Hues of the first and of the last codebook."""
HEIGHT, GAP, LETTER = 30, 3, 7.3
"""Of a row of cells, between cells, and the width of a letter; pixels."""
LEFT, TOP, RIGHT, BOTTOM = 52, 8, 8, 44
"""Around the cells: numbers and names of the axes."""
STEPS = 48
"""Of a grid that are drawn in a notebook at most."""


@dataclass(frozen=True)
class Cell:
    """A place on a grid.

    Attributes:
        kind: "text", "special", "codes" or "nothing".
        label: a letter of the text, `<sosp>`, `a0` for codebook a of frame 0, or nothing.
        codebook: of codes.
    """

    kind: str
    label: str = ""
    codebook: int = 0


@dataclass(frozen=True)
class Picture:
    """An SVG that a notebook shows."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg


def grid_html(
    tokens: Sequence[Sequence[int]], real: Sequence[Sequence[bool]], learn: Sequence[Sequence[bool]]
) -> str:
    """A grid [s][l] of a vocabulary's ids; those that are learnt are coloured by their stream."""
    steps = len(tokens[0])
    title = f"Grid: {len(tokens)} stream{'s' if len(tokens) > 1 else ''}, {steps} steps"
    if not steps:
        return framed(note(title))
    cells = [
        [
            Cell("nothing") if not is_real else Cell("codes" if learnt else "text", str(token), s)
            for token, is_real, learnt in zip(*(row[:STEPS] for row in rows), strict=True)
        ]
        for s, rows in enumerate(zip(tokens, real, learn, strict=True))
    ]
    cut = f", of which {STEPS} are drawn" if steps > STEPS else ""
    about = f"{title}{cut}; what is learnt is coloured"
    return framed(note(about), f'<div class="wide">{draw_grid(cells, title)}</div>')


def draw_grid(rows: Sequence[Sequence[Cell]], title: str) -> str:
    """An SVG of cells [s][l], streams downwards and steps to the right."""
    streams, steps = len(rows), len(rows[0])
    longest = max(len(cell.label) for row in rows for cell in row)
    cell_width = max(HEIGHT, round(longest * LETTER + 10))
    across, down = steps * cell_width, streams * HEIGHT
    # the name of the axis is longer than a single stream is high
    top = TOP + max(0, round((len("streams") * LETTER - down) / 2))
    width, height = LEFT + across + RIGHT, top + down + BOTTOM
    books = 1 + max(cell.codebook for row in rows for cell in row)
    drawn = [
        _cell(cell, books, LEFT + step * cell_width, top + stream * HEIGHT, cell_width)
        for stream, row in enumerate(rows)
        for step, cell in enumerate(row)
    ]
    numbers = [
        *(_word(LEFT + (step + 0.5) * cell_width, top + down + 16, step) for step in range(steps)),
        *(_word(LEFT - 14, top + (s + 0.5) * HEIGHT + 4, s) for s in range(streams)),
    ]
    names = [
        _word(LEFT + across / 2, top + down + 36, "steps"),
        _word(14, top + down / 2, "streams", turned=True),
    ]
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" '
        f"font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" "
        f'font-size="12" text-anchor="middle">',
        f"<title>{escape(title)}</title>",
        *drawn,
        f'<g fill="{INK}">',
        *numbers,
        *names,
        "</g>",
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def colour(cell: Cell, books: int) -> str:
    """The fill of a cell, where there are so many codebooks."""
    if cell.kind != "codes":
        return {"text": TEXT, "special": SPECIAL, "nothing": "none"}[cell.kind]
    hue = COARSE + (FINE - COARSE) * cell.codebook / max(1, books - 1)
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, 0.76, 0.7))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _cell(cell: Cell, books: int, x: int, y: int, width: int) -> str:
    """A box with its label; of nothing, its outline."""
    line = f'stroke="{INK}" stroke-opacity="0.4" ' if cell.kind == "nothing" else ""
    box = (
        f'<rect class="{cell.kind}" x="{x + GAP / 2:g}" y="{y + GAP / 2:g}" '
        f'width="{width - GAP}" height="{HEIGHT - GAP}" rx="4" {line}'
        f'fill="{colour(cell, books)}"/>'
    )
    if not cell.label:
        return box
    place = f'x="{x + width / 2:g}" y="{y + HEIGHT / 2 + 4:g}"'
    return f'{box}<text {place} fill="{LABEL}">{escape(cell.label)}</text>'


def _word(x: float, y: float, what: object, turned: bool = False) -> str:
    """A number or name beside the grid."""
    turn = f' transform="rotate(-90 {x:g} {y:g})"' if turned else ""
    return f'<text x="{x:g}" y="{y:g}"{turn}>{what}</text>'
