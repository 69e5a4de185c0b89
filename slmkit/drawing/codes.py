"""Codes over time: a heat map, a line for each codebook.

Letters: b (batch), k (codebook), t (frame).
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from slmkit.drawing.png import Colour, data_uri, png
from slmkit.drawing.style import INK, framed, note

if TYPE_CHECKING:
    from slmkit.api import Codes, CodeSpec

LONGEST = 1500
"""Frames of an utterance that are drawn at most."""
ROWS = 4
"""Utterances of a batch that are drawn at most."""

WIDTH, CELL = 640, 14
"""Of the map, at most, and of a cell: pixels."""
LEFT, TOP, BOTTOM = 26, 4, 34
"""Around the cells: numbers and the name of the axis."""
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)

# dark blue through green to yellow: falls and rises in lightness alone, so that print and eyes
# that tell few colours read it as well
STOPS: tuple[Colour, ...] = (
    (50, 32, 110), (49, 76, 148), (34, 118, 148), (36, 156, 132), (112, 192, 92), (240, 226, 60),
)  # fmt: skip
SHADES = 255


def heat_map(
    rows: Sequence[Sequence[int]], sizes: Sequence[int], rate: float | None, title: str
) -> str:
    """An SVG of codes [k][t] below 0 of which nothing is drawn; `sizes` [k] of the codebooks.

    The axis counts seconds where there is a `rate` (Hz), else frames.
    """
    frames = len(rows[0])
    across, down = min(WIDTH, max(frames * CELL, 1)), len(rows) * CELL
    width, height = LEFT + across + 14, TOP + down + BOTTOM
    shades = [
        bytes(_shade(code, size) for code in row) for row, size in zip(rows, sizes, strict=True)
    ]
    picture = data_uri(png(shades, palette()), "image/png") if frames else ""
    books = [
        _word(LEFT - 12, TOP + (book + 0.5) * CELL + 4, str(book + 1)) for book in range(len(rows))
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" '
            'font-family="ui-sans-serif, system-ui, sans-serif" font-size="11" '
            'text-anchor="middle">',
            f"<title>{escape(title)}</title>",
            f'<image x="{LEFT}" y="{TOP}" width="{across}" height="{down}" href="{picture}" '
            'preserveAspectRatio="none" style="image-rendering: pixelated"/>',
            f'<g fill="{INK}">',
            *books,
            *_axis(frames, rate, across, TOP + down),
            "</g>",
            "</svg>",
        ]
    )


def palette() -> list[Colour]:
    """Nothing, and the shades from the first code of a book to the last."""
    return [(0, 0, 0), *(_between(n / (SHADES - 1)) for n in range(SHADES))]


def _between(place: float) -> Colour:
    """The colour at a place from 0 to 1."""
    stop, rest = divmod(place * (len(STOPS) - 1), 1)
    low, high = STOPS[int(stop)], STOPS[min(int(stop) + 1, len(STOPS) - 1)]
    red, green, blue = (round(a + (b - a) * rest) for a, b in zip(low, high, strict=True))
    return red, green, blue


def _shade(code: int, size: int) -> int:
    """The index in the palette."""
    return 0 if code < 0 else 1 + min(code, size - 1) * (SHADES - 1) // max(1, size - 1)


def _axis(frames: int, rate: float | None, across: int, down: float) -> list[str]:
    """Ticks, their numbers, and what they count."""
    whole = frames / (rate or 1)
    every = next((tick for tick in TICKS if whole / tick <= 8), TICKS[-1])
    if rate is None:
        every = max(1, every)
    marks = [n * every for n in range(int(whole / every) + 1)] if frames else []
    words = [_word(LEFT + mark / whole * across, down + 14, f"{mark:g}") for mark in marks]
    ticks = [
        f'<rect x="{LEFT + mark / whole * across:.4g}" y="{down}" width="1" height="4"/>'
        for mark in marks
    ]
    return [*ticks, *words, _word(LEFT + across / 2, down + 28, "seconds" if rate else "frames")]


def _word(x: float, y: float, what: str) -> str:
    return f'<text x="{x:.4g}" y="{y:.4g}">{escape(what)}</text>'


def codes_html(codes: Codes) -> str:
    """A batch: what its codes are, and a heat map of each of the first utterances."""
    rate = None if codes.spec.deduplicated else codes.spec.frame_rate
    maps = []
    for number in range(min(len(codes), ROWS)):
        row = codes.row(number)
        length = int(row.lengths[0])
        values = row.values[0, :, :LONGEST].tolist()
        title = f"utterance {number + 1}: {_length(length, rate)}"
        cut = f", of which {LONGEST} are drawn" if length > LONGEST else ""
        maps += [note(title + cut), heat_map(values, codes.spec.codebook_sizes, rate, title)]
    left = len(codes) - ROWS
    more = [note(f"and {left} more")] if left > 0 else []
    return framed(note(f"Codes: {len(codes)} x {spec_words(codes.spec)}"), *maps, *more)


def spec_words(spec: CodeSpec) -> str:
    """What codes are, in a line."""
    books, sizes = spec.codebooks, set(spec.codebook_sizes)
    named = "1 codebook" if books == 1 else f"{books} codebooks"
    entries = f"{sizes.pop()}" if len(sizes) == 1 else f"{min(sizes)} to {max(sizes)}"
    merged = ", equal neighbours merged" if spec.deduplicated else ""
    return (
        f"{named} of {entries} entries at {spec.frame_rate:g} Hz, "
        f"{spec.bits_per_second:.0f} bit/s{merged}"
    )


def _length(frames: int, rate: float | None) -> str:
    return f"{frames} units" if rate is None else f"{frames} frames, {frames / rate:.2f} s"
