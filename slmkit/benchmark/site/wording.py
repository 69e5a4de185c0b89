"""How figures, differences and standings are written, on the page and in Markdown alike."""

from __future__ import annotations

from slmkit.benchmark.row import Value
from slmkit.benchmark.significance import Standing
from slmkit.benchmark.standing import Table

MARKS: dict[Standing, tuple[str, str]] = {
    "best": ("★", "best"),
    "level": ("≈", "not told apart from the best"),
    "unknown": ("?", "not compared with the best, since values by utterance are missing"),
}
"""Sign and meaning of a standing; what is behind has none."""
BETTER = {"lower": ("↓", "lower is better"), "higher": ("↑", "higher is better")}
LEGEND = (
    "★ is the best value of a column; ≈ is not told apart from it by a paired bootstrap over "
    "utterances (95%, nothing corrected for the number of comparisons, and chance in a training "
    "not counted); ? could not be compared. Below each value stands its 95% interval."
)


def figure(value: float) -> str:
    """A number with the digits that one reads."""
    size = abs(value)
    if size >= 1000:
        text = f"{value:.0f}"
    elif size >= 10:
        text = f"{value:.1f}"
    elif size >= 1:
        text = f"{value:.2f}"
    elif size >= 0.01 or size == 0:
        text = f"{value:.3f}"
    else:
        text = f"{value:.2g}"
    return text.replace("-", "−")


def interval(value: Value) -> str:
    """Its 95% interval; nothing where the value has none."""
    if value.low == value.high:
        return ""
    return f"{figure(value.low)} to {figure(value.high)}"


def shared_n(table: Table, metric: str) -> int | None:
    """Of how many items all values of a metric are, None where it is not the same number."""
    found = [line.get(metric) for line in table.lines]
    counts = {value.n for value in found if isinstance(value, Value)}
    return counts.pop() if len(counts) == 1 else None
