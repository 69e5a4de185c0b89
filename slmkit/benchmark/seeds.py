"""The trainings of several seeds as one value, with the interval over seeds. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slmkit.benchmark.figures import Measure, across_seeds

SHUFFLED = "-shuffled"
MEASURES = {
    "mutual-information": Measure("nats", "higher"),
    "mutual-information-shuffled": Measure("nats", "lower"),
    "probe-wer": Measure("%", "lower", 100.0),
    "probe-wer-shuffled": Measure("%", "higher", 100.0),
}
"""Of texts, and of the control: there less information and more errors are the better sign."""


def over_runs(
    texts: Sequence[Mapping[str, Any]], shuffled: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The values of all seeds' trainings, as `Tally.to_dict` gives them."""
    found = {}
    for runs, ending in ((texts, ""), (shuffled, SHUFFLED)):
        for name in ("mutual-information", "probe-wer"):
            items = [{id: tuple(pair) for id, pair in run[name].items()} for run in runs]
            found[name + ending] = across_seeds(items, MEASURES[name + ending])
    return found
