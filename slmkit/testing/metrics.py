"""The laws of metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from slmkit.api import Metric

TINY = 1e-2
"""How far from perfect the score of a copy may be (STOI's own arithmetic leaves a little)."""


def metric_laws(metric: Metric, items: Sequence[Any], best: float) -> None:
    """Hold a metric to its contract on items that all differ; `best` is the ratio of a copy.

    Raises AssertionError, which says what is broken.
    """
    for item in items:
        top, bottom = metric.score(item, item)
        assert bottom > 0, "every item that can be scored counts"
        assert abs(top / bottom - best) <= TINY, f"a copy scores {top / bottom}, not {best}"
    for index, item in enumerate(items):
        other = items[index - 1]
        top, bottom = metric.score(item, other)
        assert math.isfinite(top + bottom), "a score is a finite number"
        assert metric.score(item, other) == (top, bottom), "the same items score the same"
        gap = top / bottom - best
        better = gap < -TINY if metric.direction == "lower" else gap > TINY
        assert not better, f"nothing scores better than a copy ('{metric.direction}' is better)"
