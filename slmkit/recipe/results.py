"""Measured values with the uncertainty that comes of having so many items and no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from slmkit.api import DataError, Metric, Result

RESAMPLES = 1000
LEVEL = 0.95


def bootstrap(
    numerators: Sequence[float], denominators: Sequence[float], seed: int = 0
) -> tuple[float, float, float]:
    """(value, low, high) of sum(numerators) / sum(denominators), 95% percentile bootstrap.

    Items are drawn with replacement (Efron, 1979; Bisani and Ney, 2004, for error rates).
    Raises DataError where there is nothing to divide by.
    """
    import numpy as np

    tops, bottoms = np.asarray(numerators, float), np.asarray(denominators, float)
    if tops.shape != bottoms.shape or tops.ndim != 1:
        raise ValueError(f"{tops.shape} numerators for {bottoms.shape} denominators")
    if len(tops) == 0 or bottoms.sum() == 0:
        raise DataError("no value can be measured: no items, or items of no length")
    random = np.random.default_rng(seed)
    drawn = random.integers(len(tops), size=(RESAMPLES, len(tops)))
    sums = bottoms[drawn].sum(axis=1)
    ratios = tops[drawn].sum(axis=1)[sums != 0] / sums[sums != 0]
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(ratios, [tail, 100 - tail])
    return float(tops.sum() / bottoms.sum()), float(low), float(high)


def measured(
    name: str, split: str, pairs: Iterable[tuple[Any, Any]], metric: Metric, **score: Any
) -> Result:
    """The value of a metric over (given, reference) pairs, with its interval.

    `score` are further arguments of `Metric.score`. Raises DataError without pairs.
    """
    scores = [metric.score(given, reference, **score) for given, reference in pairs]
    if not scores:
        raise DataError(f"{name} of {split}: there are no items to measure")
    value, low, high = bootstrap([top for top, _ in scores], [bottom for _, bottom in scores])
    return Result(
        metric=name,
        split=split,
        value=value * metric.scale,
        low=low * metric.scale,
        high=high * metric.scale,
        n=len(scores),
        unit=metric.unit,
        direction=metric.direction,
    )
