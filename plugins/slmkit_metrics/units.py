"""Metrics of units against units."""

from __future__ import annotations

import numpy as np

from slmkit.api import Codes, DataError, Metric


class UnitEditDistance(Metric):
    """Edits that turn one sequence of deduplicated units into another, % of the reference."""

    unit, scale, direction, takes = "%", 100.0, "lower", "codes"

    def score(
        self, given: Codes, reference: Codes, sample_rate: int = 16000
    ) -> tuple[float, float]:
        ours, theirs = (codes.deduplicate().row(0).values[0, 0] for codes in (given, reference))
        if len(theirs) == 0:
            raise DataError("a reference without units measures nothing")
        return float(edit_distance(ours.numpy(), theirs.numpy())), float(len(theirs))


def edit_distance(a: np.ndarray, b: np.ndarray) -> int:
    """Levenshtein's distance, a row at a time."""
    row = np.arange(len(b) + 1)
    for count, unit in enumerate(a, 1):
        kept = np.minimum(row[:-1] + (b != unit), row[1:] + 1)
        # an insertion costs one more than the cell to the left: a running minimum
        steps = np.concatenate([[count], kept]) - np.arange(len(b) + 1)
        row = np.minimum.accumulate(steps) + np.arange(len(b) + 1)
    return int(row[-1])
