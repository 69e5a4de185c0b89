"""Learning-rate schedules: factors of the peak rate, as pure functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

FLOOR = 0.1
"""What is left of the peak rate at the end."""


def warm_cosine(step: int, warmup: int, steps: int, floor: float = FLOOR) -> float:
    """Linear up, then a cosine down to what is left at the end, a tenth."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return floor + (1 - floor) / 2 * (1 + math.cos(math.pi * min(1.0, done)))


def warm_stable_decay(step: int, warmup: int, steps: int, decay: float) -> float:
    """Linear up, level, and over the last share `decay` of the steps exponentially down to a tenth.

    WSD of MiniCPM (Hu et al. 2024): what was learnt before the descent can be trained further, by a
    run with more steps, without having been cooled down for nothing.
    """
    if step < warmup:
        return (step + 1) / warmup
    start = max(float(warmup), min(steps * (1 - decay), steps - 1.0))
    done = (step - start) / max(1.0, steps - start)
    return float(FLOOR ** min(1.0, max(0.0, done)))


SCHEDULES: Mapping[str, Callable[[int, int, int, float], float]] = {
    "cosine": lambda step, warmup, steps, decay: warm_cosine(step, warmup, steps),
    "wsd": warm_stable_decay,
}
"""By name, the factor at (step, warmup, steps, decay)."""
