"""Scores of items, and what could not be scored: counted with its reason, never a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from slmkit.api import AudioError, DataError, Metric, Result
from slmkit.data.intervals import bootstrap
from slmkit.generation.measuring import plain

Score = tuple[float, float]
"""Numerator and denominator of one item."""


@dataclass(frozen=True)
class Measure:
    """What a row of results needs to know beside its numbers: see `slmkit.api.Metric`."""

    unit: str = ""
    scale: float = 1.0
    direction: Literal["lower", "higher"] = "higher"

    @classmethod
    def of(cls, metric: Metric) -> Measure:
        """That of a metric."""
        return cls(metric.unit, metric.scale, metric.direction)


COSINE = Measure()
"""Of two unit vectors."""


@dataclass
class Scores:
    """What was measured of each item, by measure and item."""

    measures: dict[str, Measure] = field(default_factory=dict)
    values: dict[str, dict[str, Score]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)

    def score(self, name: str, measure: Measure, item: str, take: Callable[[], Score]) -> None:
        """Take one score; an item of which a metric says that it cannot be scored has failed."""
        try:
            self.add(name, measure, item, take())
        except (AudioError, DataError) as error:
            self.measures[name] = measure
            self.fail(name, item, str(error))

    def add(self, name: str, measure: Measure, item: str, score: Score) -> None:
        """Note a score that there is."""
        self.measures[name] = measure
        self.values.setdefault(name, {})[item] = score

    def fail(self, name: str, item: str, reason: str) -> None:
        """Note that there is none, and why."""
        self.measures.setdefault(name, Measure())
        self.failures.setdefault(name, {})[item] = reason

    def rows(self, split: str) -> Iterator[Result]:
        """Each measure over the items that have it, and how many have it not."""
        for name, measure in self.measures.items():
            scored = list(self.values.get(name, {}).values())
            failed = len(self.failures.get(name, {}))
            if any(bottom for _, bottom in scored):
                found = bootstrap([top for top, _ in scored], [bottom for _, bottom in scored])
                value, low, high = (figure * measure.scale for figure in found)
                yield Result(
                    name, split, value, low, high, len(scored), measure.unit, measure.direction
                )
            if failed:
                yield plain(f"{name}/failed", split, failed, failed + len(scored))

    def reasons(self) -> Iterator[tuple[str, str, int]]:
        """(measure, reason, how many items) of what failed."""
        for name, failed in self.failures.items():
            for reason, count in Counter(failed.values()).most_common():
                yield name, reason, count

    def of(self, item: str) -> Mapping[str, Any]:
        """All that is known of one item, as plain JSON values."""
        return {
            "scores": {n: list(found[item]) for n, found in self.values.items() if item in found},
            "failed": {n: why[item] for n, why in self.failures.items() if item in why},
        }


def labelled(row: Result, label: str) -> Result:
    """A row under a label, so that two evaluations of one run stay apart."""
    return replace(row, metric=f"{label}/{row.metric}") if label else row
