"""What a piece of work measured, on the way to a row: values with their items, or reasons.

Letters: i (item).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from slmkit.api import AudioError, DataError
from slmkit.benchmark.row import Failed, Value
from slmkit.data.intervals import bootstrap, over_seeds

Direction = Literal["lower", "higher"]
Pair = tuple[float, float]
"""Numerator and denominator of one item."""


@dataclass(frozen=True)
class Measure:
    """What a value needs to know beside its numbers: see `slmkit.api.Metric`."""

    unit: str
    direction: Direction
    scale: float = 1.0


@dataclass
class Tally:
    """Scores of items by measure; what could not be scored is counted, never a number."""

    measures: dict[str, Measure] = field(default_factory=dict)
    pairs: dict[str, dict[str, Pair]] = field(default_factory=dict)
    reasons: dict[str, dict[str, str]] = field(default_factory=dict)
    whole: dict[str, dict[str, Any]] = field(default_factory=dict)

    def score(self, name: str, measure: Measure, item: str, take: Callable[[], Pair]) -> None:
        """Take the score of an item; where it cannot be scored, the reason."""
        self.measures[name] = measure
        try:
            self.add(name, measure, item, take())
        except (AudioError, DataError) as error:
            self.lose(name, item, str(error))

    def add(self, name: str, measure: Measure, item: str, pair: Pair) -> None:
        """Note the score of an item. Raises DataError for what is no number."""
        if not np.isfinite(pair).all():
            raise DataError("came out as no number")
        self.measures[name] = measure
        self.pairs.setdefault(name, {})[item] = (float(pair[0]), float(pair[1]))

    def lose(self, name: str, item: str, reason: str) -> None:
        """Say of an item why it cannot be scored."""
        self.measures.setdefault(name, Measure("", "higher"))
        self.reasons.setdefault(name, {})[item] = reason

    def absent(self, names: Iterable[str], reason: str, failed: bool = False) -> None:
        """Say of whole measures why they cannot be taken."""
        for name in names:
            self.whole[name] = {
                "figure": {"reason": reason},
                **({"failed": True} if failed else {}),
            }

    def value(self, name: str, measure: Measure, found: tuple[float, float, float], n: int) -> None:
        """A value with its interval that is not made of items."""
        value, low, high = (figure * measure.scale for figure in found)
        figure = {
            "value": value, "low": low, "high": high, "n": n, "unit": measure.unit,
            "direction": measure.direction,
        }  # fmt: skip
        self.whole[name] = {"figure": figure}

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON: of each name a value with its items, or a reason; "failed" where one was
        to be expected, "lost" how many items have none."""
        scored = {name: self._of(name, measure) for name, measure in self.measures.items()}
        return {**scored, **self.whole}

    def _of(self, name: str, measure: Measure) -> dict[str, Any]:
        lost = self.reasons.get(name, {})
        pairs = {
            id: (top * measure.scale, bottom)
            for id, (top, bottom) in self.pairs.get(name, {}).items()
        }
        if not any(bottom for _, bottom in pairs.values()):
            reason, count = Counter(lost.values()).most_common(1)[0] if lost else ("no items", 0)
            said = f"{reason} ({count} of {len(lost) + len(pairs)})"
            return {"figure": {"reason": said}, "failed": True}
        figure = estimate(pairs.values(), measure)
        return {"figure": figure, "items": pairs, "lost": len(lost)}


def estimate(pairs: Iterable[Pair], measure: Measure) -> dict[str, Any]:
    """The value of scaled pairs with its bootstrap interval."""
    some = list(pairs)
    value, low, high = bootstrap([top for top, _ in some], [bottom for _, bottom in some])
    # of few items the percentiles of resamples may both lie to one side of the value
    low, high = min(low, value), max(high, value)
    return {
        "value": value, "low": low, "high": high, "n": len(some), "unit": measure.unit,
        "direction": measure.direction,
    }  # fmt: skip


def across_seeds(runs: Sequence[Mapping[str, Pair]], measure: Measure) -> dict[str, Any]:
    """A value that trainings with several seeds gave over the same items: their mean, with the
    interval over seeds; an item's numerator is its mean."""
    ids = list(runs[0])
    bottoms = {id: runs[0][id][1] for id in ids}
    pairs = {
        id: (measure.scale * float(np.mean([run[id][0] for run in runs])), bottoms[id])
        for id in ids
    }
    total = sum(bottoms.values())
    if not total:
        raise DataError("no value can be measured: items of no length")
    values = [measure.scale * sum(run[id][0] for id in ids) / total for run in runs]
    value, low, high = over_seeds(values)
    figure = {
        "value": value, "low": low, "high": high, "n": len(ids), "unit": measure.unit,
        "direction": measure.direction,
    }  # fmt: skip
    return {"figure": figure, "items": pairs}


def row_value(figure: Mapping[str, Any]) -> Value | Failed:
    """A figure as a row has it."""
    return Failed(figure["reason"]) if "reason" in figure else Value(**figure)
