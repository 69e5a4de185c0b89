"""Learning-rate schedules: within bounds, without jumps, and a tenth at the end."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slmkit.training.options import LmTraining
from slmkit.training.schedules import SCHEDULES

names = st.sampled_from(sorted(SCHEDULES))
plans = st.tuples(st.integers(0, 200), st.integers(1, 3000), st.floats(0.01, 1.0))


@given(names, plans)
def test_factors_rise_to_one_and_fall_to_a_tenth(name: str, plan: tuple[int, int, float]) -> None:
    warmup, steps, decay = plan
    steps += warmup
    factors = [SCHEDULES[name](step, warmup, steps, decay) for step in range(steps + 10)]
    assert all(0 < factor <= 1 + 1e-12 for factor in factors)
    rising, falling = factors[:warmup], factors[warmup:]
    assert rising == sorted(rising)
    assert falling == sorted(falling, reverse=True)
    assert min(falling) >= 0.1 - 1e-12
    assert factors[steps:] == pytest.approx([0.1] * 10)
    if warmup:
        assert rising[-1] == 1.0


@given(names, plans)
def test_no_factor_jumps(name: str, plan: tuple[int, int, float]) -> None:
    warmup, steps, decay = plan
    steps += warmup
    factors = [SCHEDULES[name](step, warmup, steps, decay) for step in range(steps + 1)]
    falls = max(1.0, min(steps - warmup, steps * decay if name == "wsd" else math.inf))
    # the steepest that a cosine or an exponential of that length is
    most = max(1 / max(1, warmup), 2.4 / falls)
    assert all(abs(b - a) <= most + 1e-9 for a, b in itertools.pairwise(factors))


def test_wsd_is_level_until_its_last_share() -> None:
    factors = [SCHEDULES["wsd"](step, 10, 1000, 0.2) for step in range(1001)]
    assert set(factors[9:801]) == {1.0}
    assert factors[900] == pytest.approx(0.1**0.5)
    longer = [SCHEDULES["wsd"](step, 10, 2000, 0.1) for step in range(1001)]
    assert longer[:801] == factors[:801], "more steps change nothing before the descent"


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"schedule": "linear"}, "schedule 'linear' is none of cosine, wsd"),
        ({"optimizer": "sgd"}, "optimizer 'sgd' is none of adamw, muon"),
        ({"decay": 0.0}, "decay 0.0"),
        ({"ema": 1.0}, "ema 1.0"),
    ],
)
def test_what_is_no_choice_is_refused(wrong: dict[str, object], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        LmTraining(**wrong)
