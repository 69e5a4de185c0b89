"""Learning curves of several runs in one drawing."""

from __future__ import annotations

from collections.abc import Mapping

from slmkit.recipe.report.figures import INK, empty_figure, inline_svg
from slmkit.training.curves import Curve

COLOURS = ("#2f6fb5", "#c2571a", "#3c8a4e", "#9a5fb5", "#8a7a1f", "#b8456b")
MARKERS = ("o", "s", "^", "D", "v", "P")
MARKS = 8
"""On each curve, so that runs are told apart without colour."""


def draw_overlaid(title: str, runs: Mapping[str, Mapping[str, Curve]]) -> str:
    """An inline SVG of one stage's losses against steps, one colour and marker a run; what is held
    out is dashed."""
    figure, axes = empty_figure(4.8, 2.8)
    told = []
    for place, (run, curves) in enumerate(runs.items()):
        colour = COLOURS[place % len(COLOURS)]
        marker = MARKERS[place % len(MARKERS)]
        for name, points in curves.items():
            axes.plot(
                *zip(*points, strict=True),
                label=f"{run}, {name}",
                color=colour,
                linewidth=1.3,
                linestyle="--" if name.startswith("dev") else "-",
                marker=marker,
                markersize=4,
                markevery=max(1, len(points) // MARKS),
            )
            step, loss = points[-1]
            told.append(f"{run}, {name} {loss:.3g} at step {step}")
    axes.set_xlabel("step", color=INK)
    axes.set_title(title, color=INK, fontsize=10)
    axes.legend(frameon=False, labelcolor=INK, fontsize=8)
    return inline_svg(figure, f"learning curves of {title}: {'; '.join(told)}")
