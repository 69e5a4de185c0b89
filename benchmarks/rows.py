"""The rows that every benchmark prints and writes."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from benchmarks.tables import RESULTS, renew
from slmkit.recipe.machine import machine, versions

TOLD = ("cpu", "cores", "memory_gb", "gpus")
"""What is told of the machine."""


@dataclass(frozen=True)
class Row:
    """One measured value against its bar.

    Attributes:
        what: what was measured, on what.
        value, unit: the figure; `low` and `high` its 95% interval where it has one, `n` its items.
        peer, ratio: what it is compared with in the same run, and value / peer's.
        bar: the figure to reach; `sense` says on which side of it is good.
        of: whose figure it is, where many are measured of several things and none has a bar: the
            table then has a line for each of them.
    """

    what: str
    value: float
    unit: str
    bar: float | None = None
    sense: Literal["at most", "at least"] = "at most"
    low: float | None = None
    high: float | None = None
    n: int | None = None
    peer: str | None = None
    ratio: float | None = None
    of: str | None = None

    @property
    def met(self) -> bool | None:
        """Whether the bar is reached; None without a bar."""
        if self.bar is None:
            return None
        return self.value <= self.bar if self.sense == "at most" else self.value >= self.bar


def publish(name: str, rows: Sequence[Row], command: str) -> None:
    """Print the rows, write them with machine, versions and date, and renew their table."""
    named = [f"{row.of}: {row.what}" if row.of else row.what for row in rows]
    width = max(map(len, named))
    for row, what in zip(rows, named, strict=True):
        span = "" if row.low is None else f" [{row.low:.4g}, {row.high:.4g}]"
        count = "" if row.n is None else f" n={row.n}"
        bar = (
            ""
            if row.bar is None
            else f"  {row.sense} {row.bar:g}: {'met' if row.met else 'MISSED'}"
        )
        print(f"{what:<{width}}  {row.value:10.4g} {row.unit}{span}{count}{bar}")
    record = {
        "name": name,
        "command": command,
        "date": datetime.date.today().isoformat(),
        "machine": {name: value for name, value in machine().items() if name in TOLD},
        "versions": versions({"slmkit"}),
        "rows": [{**asdict(row), "met": row.met} for row in rows],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    renew()
    missed = [row.what for row in rows if row.met is False]
    print(f"{len(rows)} rows, {len(missed)} bars missed{': ' if missed else ''}{'; '.join(missed)}")
