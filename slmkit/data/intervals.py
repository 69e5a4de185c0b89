"""Measured values with the uncertainty that comes of having so many items and no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from slmkit.api import DataError, Metric, Result

LEVEL = 0.95
Z = 1.959963984540054
"""Of the normal distribution, so much lies within plus and minus this many deviations."""
T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""The same of Student's t distribution with 1 to 9 degrees of freedom."""


@dataclass(frozen=True)
class Difference:
    """A value less another over n shared items, with its 95% interval."""

    value: float
    low: float
    high: float
    n: int

    @property
    def real(self) -> bool:
        """Whether 0 lies outside the interval."""
        return self.low > 0 or self.high < 0


def bootstrap(
    numerators: Sequence[float],
    denominators: Sequence[float],
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[float, float, float]:
    """(value, low, high) of sum(numerators) / sum(denominators), 95% percentile bootstrap.

    Items are drawn with replacement (Efron 1979; Bisani and Ney 2004, for error rates), so that
    an item's own errors stay together. Raises DataError where there is nothing to divide by.
    """
    tops, bottoms = np.asarray(numerators, float), np.asarray(denominators, float)
    if tops.shape != bottoms.shape or tops.ndim != 1:
        raise ValueError(f"{tops.shape} numerators for {bottoms.shape} denominators")
    if len(tops) == 0 or bottoms.sum() == 0:
        raise DataError("no value can be measured: no items, or items of no length")
    drawn = np.random.default_rng(seed).integers(len(tops), size=(resamples, len(tops)))
    sums = bottoms[drawn].sum(axis=1)
    ratios = tops[drawn].sum(axis=1)[sums != 0] / sums[sums != 0]
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(ratios, [tail, 100 - tail])
    return float(tops.sum() / bottoms.sum()), float(low), float(high)


def paired_difference(
    ours: Sequence[tuple[float, float]],
    theirs: Sequence[tuple[float, float]],
    seed: int = 0,
    resamples: int = 1000,
) -> tuple[float, float, float]:
    """(value, low, high) of our sum(numerators) / sum(denominators) less theirs, 95% bootstrap.

    Both are (numerator, denominator) of the same items in the same order. Items are drawn once for
    both (Bisani and Ney 2004): what makes an item hard is hard for both, and falls out of the
    difference. Raises DataError where there is nothing to divide by.
    """
    one, other = np.asarray(ours, float), np.asarray(theirs, float)
    if one.shape != other.shape or one.shape[1:] != (2,):
        if len(one) and len(other):
            raise ValueError(f"scores {one.shape} and {other.shape} are not of the same items")
        raise DataError("no difference can be measured: there are no items")
    if one[:, 1].sum() == 0 or other[:, 1].sum() == 0:
        raise DataError("no difference can be measured: items of no length")
    drawn = np.random.default_rng(seed).integers(len(one), size=(resamples, len(one)))
    first, second = one[drawn].sum(axis=1), other[drawn].sum(axis=1)
    some = (first[:, 1] != 0) & (second[:, 1] != 0)
    differences = first[some, 0] / first[some, 1] - second[some, 0] / second[some, 1]
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(differences, [tail, 100 - tail])
    whole, whole_other = one.sum(axis=0), other.sum(axis=0)
    value = whole[0] / whole[1] - whole_other[0] / whole_other[1]
    return float(value), float(low), float(high)


def crossed_bootstrap(
    scores: Sequence[Sequence[float]], seed: int = 0, resamples: int = 1000
) -> tuple[float, float, float]:
    """(mean, low, high), 95%, of scores [listener][item] where every listener scored every item.

    Listeners and items are both drawn with replacement (the pigeonhole bootstrap, Owen 2007): the
    interval covers what other listeners and other items would have given, and is a little too wide
    rather than too narrow. Of one listener it says nothing of how listeners differ. Raises
    DataError where there is nothing.
    """
    table = np.asarray(scores, float)
    if table.ndim != 2 or not table.size:
        raise DataError("no mean can be measured: no listener has scored an item")
    draw = np.random.default_rng(seed)
    rows, columns = (
        draw.multinomial(count, np.full(count, 1 / count), size=resamples) for count in table.shape
    )
    means = ((rows @ table) * columns).sum(axis=1) / table.size
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return float(table.mean()), float(low), float(high)


def jackknife(value: float, without: Sequence[float]) -> tuple[float, float, float]:
    """(value, low, high), 95%, from the values with each group of items left out (Tukey 1958).

    For what a bootstrap pulls aside: items drawn twice make an entropy smaller than it is. With
    fewer than two groups nothing is known of the spread, and the interval is the value.
    """
    if len(without) < 2:
        return value, value, value
    left, n = np.asarray(without, float), len(without)
    error = float(np.sqrt((n - 1) / n * ((left - left.mean()) ** 2).sum()))
    return value, value - Z * error, value + Z * error


def over_seeds(values: Sequence[float]) -> tuple[float, float, float]:
    """(mean, low, high), 95%, of what differs with a training's random numbers alone: Student's t
    (1908), whose interval is wide of few. Of more than ten values it is a little too wide. Raises
    DataError for fewer than two."""
    if len(values) < 2:
        raise DataError("of one seed nothing is known of how seeds differ: train with two or more")
    found, n = np.asarray(values, float), len(values)
    error = T[min(n, len(T) + 1) - 2] * found.std(ddof=1) / np.sqrt(n)
    return float(found.mean()), float(found.mean() - error), float(found.mean() + error)


def proportion(hits: int, n: int) -> tuple[float, float, float]:
    """(value, low, high) of a share of n yes-or-no items, 95% (Wilson 1927).

    Unlike a bootstrap it does not call none of n a certainty. Raises DataError without items.
    """
    if n == 0:
        raise DataError("no share can be measured: there are no items")
    share = hits / n
    middle, width = (
        share + Z**2 / (2 * n),
        Z * np.sqrt(share * (1 - share) / n + (Z / (2 * n)) ** 2),
    )
    low, high = (middle - width) / (1 + Z**2 / n), (middle + width) / (1 + Z**2 / n)
    # roundings must not put an interval beside its value
    return share, float(np.clip(low, 0.0, share)), float(np.clip(high, share, 1.0))


def paired_differences(
    systems: Sequence[Sequence[tuple[float, float]]], seed: int = 0, resamples: int = 1000
) -> list[list[tuple[float, float, float]]]:
    """`paired_difference` of each system [i] less each other one [j], all of the same items.

    The draws are made once for all of them, so that many systems take little longer than two.
    Raises DataError where there is nothing to divide by.
    """
    scores = np.asarray(systems, float)
    if scores.ndim != 3 or scores.shape[2] != 2 or scores.shape[1] == 0:
        raise DataError("no difference can be measured: there are no items that all systems share")
    whole = scores.sum(axis=1)
    if (whole[:, 1] == 0).any():
        raise DataError("no difference can be measured: items of no length")
    n = scores.shape[1]
    drawn = np.random.default_rng(seed).integers(n, size=(resamples, n))
    times = np.stack([np.bincount(draw, minlength=n) for draw in drawn]).astype(float)
    sums = np.einsum("rn,snp->srp", times, scores, optimize=True)
    values, tail = whole[:, 0] / whole[:, 1], 100 * (1 - LEVEL) / 2
    found = []
    for i, value in enumerate(values):
        line = []
        for j, other in enumerate(values):
            some = (sums[i, :, 1] != 0) & (sums[j, :, 1] != 0)
            ours, theirs = sums[i][some], sums[j][some]
            apart = ours[:, 0] / ours[:, 1] - theirs[:, 0] / theirs[:, 1]
            low, high = np.percentile(apart, [tail, 100 - tail])
            line.append((float(value - other), float(low), float(high)))
        found.append(line)
    return found


def measure(
    metric: Metric, name: str, split: str, pairs: Iterable[tuple[Any, Any]], **score: Any
) -> Result:
    """The value of a metric over (given, reference) pairs, with its interval, as a row.

    `score` are further arguments of `Metric.score` (`sample_rate` of waves). Raises DataError
    without pairs, and whatever the metric raises for an item that cannot be scored.
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
