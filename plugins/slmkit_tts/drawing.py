"""Figures of a comparison as SVG: readable on light and on dark, and without colours."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from slmkit.training.curves import Curve

INK = "#777777"
"""Of axes and words: in the middle between a white page and a black one."""
COLOURS = ("#3b7dc4", "#c8642a", "#3f8f5f", "#9a6bbf", "#a8842a", "#c2557f", "#3f9aa3")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":", (0, (6, 2, 1, 2, 1, 2)), (0, (1, 3)), (0, (9, 3)))
HATCHES = ("", "///", "...", "xxx", "\\\\\\", "ooo", "++")
"""Designs differ in colour, marker, line and hatching, in this order; more begin again."""

Interval = tuple[float, float, float]


def draw_bars(names: Sequence[str], panels: Mapping[str, Sequence[Interval]]) -> str:
    """A panel for each measure; in each a bar for each name, with its interval and its value."""
    figure, axes = _figure(len(panels), width=max(3.4, 0.75 * len(names)))
    for panel, (title, spreads) in zip(axes, panels.items(), strict=True):
        for at, (value, low, high) in enumerate(spreads):
            panel.bar(
                at, value, width=0.6, fill=False, hatch=_turn(HATCHES, at),
                edgecolor=_turn(COLOURS, at), linewidth=1.6,
            )  # fmt: skip
            panel.errorbar(
                at, value, yerr=[[value - low], [high - value]], color=INK, capsize=5, linewidth=1.4
            )
            panel.annotate(
                f"{value:.3g}", (at, high), xytext=(0, 3), textcoords="offset points",
                ha="center", color=INK, fontsize=9,
            )  # fmt: skip
        panel.set_xticks(range(len(spreads)), [_broken(name) for name in names], color=INK)
        panel.set_title(title, color=INK, fontsize=10)
        panel.margins(y=0.15)
        panel.set_ylim(bottom=0)
    return _svg(figure, "bars with intervals: " + ", ".join(panels))


def draw_courses(panels: Mapping[str, Mapping[str, Curve]]) -> str:
    """A panel for each measure; in each a curve against steps for each name."""
    figure, axes = _figure(len(panels), width=3.4)
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    for panel, (title, curves) in zip(axes, panels.items(), strict=True):
        for name, points in curves.items():
            at = names.index(name)
            panel.plot(
                *zip(*points, strict=True), label=name, color=_turn(COLOURS, at),
                linestyle=_turn(LINES, at), marker=_turn(MARKERS, at), markersize=4, linewidth=1.4,
            )  # fmt: skip
        panel.set_title(title, color=INK, fontsize=10)
        panel.set_xlabel("step", color=INK, fontsize=9)
    axes[0].legend(frameon=False, labelcolor=INK, fontsize=9, handlelength=3)
    return _svg(figure, "curves against training steps: " + ", ".join(panels))


def _figure(panels: int, width: float) -> tuple[Any, Sequence[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * panels + 0.4, 3.0), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    for panel in axes:
        panel.patch.set_alpha(0)
        panel.tick_params(colors=INK, labelsize=9)
        for side, spine in panel.spines.items():
            spine.set_color(INK)
            spine.set_visible(side in ("left", "bottom"))
    return figure, axes


def _turn(choices: Sequence[Any], at: int) -> Any:
    return choices[at % len(choices)]


def _broken(name: str) -> str:
    """A long name in two lines, so that neighbours do not touch."""
    return name if len(name) <= 12 else name.replace("-", "-\n").replace(" ", "\n")


def _svg(figure: Any, title: str) -> str:
    """The drawing; words stay words, and nothing in it tells of the day."""
    from matplotlib import rc_context

    text = io.StringIO()
    # without a salt of its own each drawing's ids are random
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(
            text, format="svg", transparent=True, metadata={"Title": title, "Date": None}
        )
    return text.getvalue()
