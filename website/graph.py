"""A drawing of a recipe's stages: each below those that it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape

from slmkit.drawing.style import INK

WIDTH, HEIGHT, ACROSS, DOWN, EDGE = 128, 26, 14, 26, 6
"""Of a box, between boxes, and around the drawing; pixels."""
PLAIN, CHANGED, LABEL = "#c3c8d1", "#f2b48a", "#1d2430"


def draw_stages(
    needs: Mapping[str, Sequence[str]], title: str, changed: Collection[str] = ()
) -> str:
    """An SVG of stages in the order of a recipe and what each needs; those `changed` coloured."""
    places = _places(needs)
    most = max(column for column, _ in places.values()) + 1
    width = most * (WIDTH + ACROSS) - ACROSS + 2 * EDGE
    rows = max(row for _, row in places.values()) + 1
    height = rows * (HEIGHT + DOWN) - DOWN + 2 * EDGE
    corners = {
        name: (EDGE + column * (WIDTH + ACROSS), EDGE + row * (HEIGHT + DOWN))
        for name, (column, row) in places.items()
    }
    lines = [
        _line(corners[above], corners[name], name in changed)
        for name, those in needs.items()
        for above in those
    ]
    boxes = [_box(name, *corners[name], name in changed) for name in needs]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" '
            "font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" "
            'font-size="11" text-anchor="middle">',
            f"<title>{escape(title)}</title>",
            *lines,
            *boxes,
            "</svg>",
            "",
        ]
    )


def _places(needs: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, int]]:
    """(column, row) of each stage: below all that it needs, and near the first of them."""
    places: dict[str, tuple[int, int]] = {}
    for name in needs:
        above = [places[each] for each in needs[name]]
        row = 1 + max((row for _, row in above), default=-1)
        column = min((column for column, _ in above), default=0)
        taken = {column for column, other in places.values() if other == row}
        while column in taken:
            column += 1
        places[name] = column, row
    return places


def _line(start: tuple[int, int], end: tuple[int, int], changed: bool) -> str:
    x, y = start[0] + WIDTH / 2, start[1] + HEIGHT
    to, down = end[0] + WIDTH / 2, end[1]
    bend = (down - y) / 2
    colour, stroke = (CHANGED, 2) if changed else (INK, 1)
    return (
        f'<path d="M{x:g} {y:g}C{x:g} {y + bend:g} {to:g} {down - bend:g} {to:g} {down:g}" '
        f'fill="none" stroke="{colour}" stroke-width="{stroke}" stroke-opacity="0.8"/>'
    )


def _box(name: str, x: int, y: int, changed: bool) -> str:
    place = f'x="{x + WIDTH / 2:g}" y="{y + HEIGHT / 2 + 4:g}"'
    return (
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5" '
        f'fill="{CHANGED if changed else PLAIN}"/>'
        f'<text {place} fill="{LABEL}">{escape(name)}</text>'
    )
