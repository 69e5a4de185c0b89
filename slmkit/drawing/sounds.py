"""A sound to play, above the outline of its wave."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from slmkit.drawing.style import INK

WIDTH, HEIGHT = 640, 40


def player(address: str, label: str) -> str:
    """An audio player of a sound at an address."""
    return (
        f'<audio controls preload="metadata" aria-label="{escape(label)}" src="{address}"></audio>'
    )


def outline(extremes: Sequence[tuple[float, float]], label: str) -> str:
    """An SVG of a wave: its lowest and highest sample (-1..1) in each of some stretches."""
    wide = WIDTH / max(1, len(extremes))
    middle = HEIGHT / 2
    bars = "".join(
        f"M{(n + 0.5) * wide:.1f} {middle - high * middle:.1f}V{middle - low * middle + 0.5:.1f}"
        for n, (low, high) in enumerate(extremes)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="wave of {escape(label)}">'
        f'<path d="{bars}" stroke="{INK}" stroke-width="{max(0.8, wide * 0.7):.1f}" fill="none"/>'
        "</svg>"
    )
