"""`Result`: a row of `results.json`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Result:
    """One measured value of a run; a row of `results.json`."""

    metric: str
    split: str
    value: float
    low: float
    high: float
    n: int
    unit: str = ""
    direction: Literal["lower", "higher"] = "higher"

    def _repr_html_(self) -> str:
        from slmkit.drawing.style import framed
        from slmkit.drawing.tables import result_rows, results_table

        return framed(results_table(result_rows([self])))
