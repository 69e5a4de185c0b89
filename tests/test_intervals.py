"""Intervals: against formulas, and where they must not claim to know."""

from __future__ import annotations

import math

import numpy as np
import pytest

from slmkit.api import DataError
from slmkit.data.intervals import bootstrap, jackknife, over_seeds, paired_difference, proportion

Z = 1.96


def test_a_bootstrap_of_means_is_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, size=400)
    value, low, high = bootstrap(values, [1.0] * len(values), resamples=4000)
    error = values.std(ddof=1) / math.sqrt(len(values))
    assert value == pytest.approx(values.mean())
    assert low == pytest.approx(value - Z * error, abs=0.1 * error)
    assert high == pytest.approx(value + Z * error, abs=0.1 * error)


def test_a_paired_difference_is_the_normal_interval_of_the_differences() -> None:
    rng = np.random.default_rng(1)
    hard = rng.normal(10.0, 5.0, size=300)
    ours, theirs = hard + rng.normal(0.5, 1.0, size=300), hard + rng.normal(0.0, 1.0, size=300)
    pairs = [[(float(top), 1.0) for top in tops] for tops in (ours, theirs)]
    value, low, high = paired_difference(*pairs, resamples=4000)
    apart = ours - theirs
    error = apart.std(ddof=1) / math.sqrt(len(apart))
    assert value == pytest.approx(apart.mean())
    assert low == pytest.approx(value - Z * error, abs=0.15 * error)
    assert high == pytest.approx(value + Z * error, abs=0.15 * error)
    unpaired = math.hypot(ours.std(), theirs.std()) / math.sqrt(len(apart))
    assert high - low < 2 * Z * unpaired / 3, "what makes an item hard falls out"


def test_a_difference_of_rates_weighs_long_items_more() -> None:
    value, _, _ = paired_difference([(1, 2), (0, 8)], [(0, 2), (4, 8)])
    assert value == pytest.approx(1 / 10 - 4 / 10)


def test_a_system_does_not_differ_from_itself() -> None:
    scores = [(float(n % 3), 5.0) for n in range(20)]
    assert paired_difference(scores, scores) == (0.0, 0.0, 0.0)


def test_the_other_way_round_the_difference_has_the_other_sign() -> None:
    rng = np.random.default_rng(2)
    one, two = ([(float(t), 9.0) for t in rng.integers(0, 9, 50)] for _ in range(2))
    value, low, high = paired_difference(one, two)
    assert paired_difference(two, one) == pytest.approx((-value, -high, -low), abs=1e-9)


def test_a_paired_interval_covers_what_it_should() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        words = rng.integers(5, 30, size=60)
        ours, theirs = rng.binomial(words, 0.30), rng.binomial(words, 0.25)
        pairs = [list(zip(e.tolist(), words.tolist(), strict=True)) for e in (ours, theirs)]
        _, low, high = paired_difference(*pairs, resamples=300)
        covered += low <= 0.05 <= high
    assert 0.88 * 200 <= covered <= 0.99 * 200


@pytest.mark.parametrize("ours", [[], [(1.0, 0.0)]])
def test_nothing_to_compare_is_an_error(ours: list[tuple[float, float]]) -> None:
    with pytest.raises(DataError, match="no difference"):
        paired_difference(ours, ours)


def test_scores_of_other_items_are_refused() -> None:
    with pytest.raises(ValueError, match="not of the same items"):
        paired_difference([(1.0, 2.0)], [(1.0, 2.0), (0.0, 3.0)])


@pytest.mark.parametrize(("hits", "n", "low", "high"),
                         [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634),
                          (81, 263, 0.2553, 0.3662)])  # fmt: skip
def test_a_proportion_is_wilsons(hits: int, n: int, low: float, high: float) -> None:
    """The last two as Newcombe 1998 and every table of the method have them."""
    assert proportion(hits, n) == pytest.approx((hits / n, low, high), abs=1e-4)


def test_none_of_none_is_no_proportion() -> None:
    with pytest.raises(DataError, match="no items"):
        proportion(0, 0)


def test_the_jackknife_of_a_mean_is_its_standard_error() -> None:
    values = np.random.default_rng(4).normal(size=50)
    without = [np.delete(values, index).mean() for index in range(50)]
    value, low, high = jackknife(values.mean(), without)
    error = values.std(ddof=1) / math.sqrt(50)
    assert (high - low) / 2 == pytest.approx(1.959964 * error)
    assert (high + low) / 2 == pytest.approx(value)
    assert jackknife(3.0, [1.0]) == (3.0, 3.0, 3.0)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_an_interval_over_seeds_covers_what_it_should(seeds: int) -> None:
    rng = np.random.default_rng(5)
    found = [over_seeds(rng.normal(2.0, 3.0, size=seeds)) for _ in range(2000)]
    covered = np.mean([low <= 2.0 <= high for _, low, high in found])
    assert covered == pytest.approx(0.95, abs=0.015)


def test_an_interval_over_many_seeds_is_a_little_wide_and_over_one_there_is_none() -> None:
    values = np.random.default_rng(6).normal(size=25)
    value, low, high = over_seeds(values)
    assert value == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(2.262 * values.std(ddof=1) / 5)
    with pytest.raises(DataError, match="of one seed nothing is known"):
        over_seeds([1.0])
