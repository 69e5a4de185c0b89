"""Differences between runs, item by item, where stages left the scores of every item.

A stage's `items.json` is a list of {"id": str, "scores": {measure: [numerator, denominator]}}.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from slmkit.api import DataError
from slmkit.data.intervals import Difference, paired_difference
from slmkit.recipe.folder import read_json, read_record
from slmkit.recipe.report.run_files import RunFiles

ITEMS_FILE = "items.json"
Row = tuple[str, str]
"""Metric and split of a row of results."""
Scores = Mapping[str, tuple[float, float]]
"""(numerator, denominator) in the unit of the row, by item."""


def scores_of(run: RunFiles) -> dict[Row, Scores]:
    """The items' scores of those rows of a run's results that are made up of them."""
    found: dict[Row, Scores] = {}
    for stage in run.about["stages"]:
        folder = run.folder / stage["folder"]
        record = read_record(folder)
        if record is None or not (folder / ITEMS_FILE).exists():
            continue
        scores = _by_measure(read_json(folder / ITEMS_FILE))
        for row in record.results:
            # a stage's label stands before the names of its results
            measure = next((m for m in scores if f"/{row.metric}".endswith(f"/{m}")), None)
            scaled = None if measure is None else _scaled(scores[measure], row.value)
            if scaled is not None:
                found[row.metric, row.split] = scaled
    return found


def difference(ours: Scores, theirs: Scores) -> Difference | None:
    """Ours less theirs on the items of both (Bisani and Ney 2004); None where there are none."""
    shared = sorted(ours.keys() & theirs.keys())
    try:
        found = paired_difference([ours[id] for id in shared], [theirs[id] for id in shared])
    except DataError:
        return None
    return Difference(*found, len(shared))


def _by_measure(items: Any) -> dict[str, dict[str, tuple[float, float]]]:
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for item in items if isinstance(items, Sequence) else ():
        if not isinstance(item, Mapping) or not isinstance(item.get("scores"), Mapping):
            continue
        for measure, (top, bottom) in item["scores"].items():
            found.setdefault(measure, {})[str(item.get("id"))] = (top, bottom)
    # the longest name first: "wer/original" ends a row's name as well as "original" would
    return dict(sorted(found.items(), key=lambda each: -len(each[0])))


def _scaled(scores: Scores, value: float) -> Scores | None:
    """Scores in the unit of a row, or None where they do not come to its value: not its items."""
    top, bottom = (math.fsum(score[side] for score in scores.values()) for side in (0, 1))
    if not bottom:
        return None
    for scale in (1.0, 100.0):  # a share, or percent
        if math.isclose(scale * top / bottom, value, rel_tol=1e-6, abs_tol=1e-9):
            return {id: (scale * each[0], each[1]) for id, each in scores.items()}
    return None
