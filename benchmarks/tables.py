"""The tables of `benchmarks/README.md`, from what benchmarks wrote: `python -m benchmarks.tables`.

A table stands between `<!-- results: NAME -->` and `<!-- end -->`; every benchmark renews its own.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
README = FOLDER / "README.md"
RESULTS = FOLDER / "results"
PLACE = re.compile(r"<!-- results: ([\w-]+) -->\n.*?<!-- end -->", re.DOTALL)


def renewed(text: str) -> str:
    """A page with each table as its results say; one without results stays as it is."""

    def table(place: re.Match[str]) -> str:
        results = RESULTS / f"{place[1]}.json"
        if not results.exists():
            return place[0]
        return (
            f"<!-- results: {place[1]} -->\n{markdown(json.loads(results.read_text()))}<!-- end -->"
        )

    return PLACE.sub(table, text)


def markdown(record: dict[str, Any]) -> str:
    """Machine, date, and a row for each figure."""
    machine, torch = record["machine"], record["versions"]["torch"]
    gpus = "".join(f", {gpu}" for gpu in machine["gpus"] if gpu)
    where = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB{gpus}"
    lines = [f"Measured {record['date']} by `{record['command']}` on {where}; torch {torch}.", ""]
    rows = record["rows"]
    drawn = _grid(rows) if all(row.get("of") for row in rows) else _list(rows)
    return "\n".join([*lines, *drawn]) + "\n"


def _grid(rows: list[dict[str, Any]]) -> list[str]:
    """A line for each thing that was measured, a column for each figure."""
    columns = list(dict.fromkeys((row["what"], row["unit"]) for row in rows))
    titles = [f"{what}, {unit}" if unit else what for what, unit in columns]
    cells: dict[str, dict[tuple[str, str], str]] = {}
    for row in rows:
        span = "" if row["low"] is None else f" [{row['low']:.3g}, {row['high']:.3g}]"
        cells.setdefault(row["of"], {})[row["what"], row["unit"]] = f"{row['value']:.3g}{span}"
    return [
        f"| | {' | '.join(titles)} |",
        f"| --- |{' --- |' * len(columns)}",
        *(
            f"| {name} | {' | '.join(held.get(each, '') for each in columns)} |"
            for name, held in cells.items()
        ),
    ]


def _list(rows: list[dict[str, Any]]) -> list[str]:
    """A line for each figure, and its bar."""
    return [
        "| what | measured | 95% interval | n | bar | met |",
        "| --- | --- | --- | --- | --- | --- |",
        *map(_row, rows),
    ]


def _row(row: dict[str, Any]) -> str:
    peer = f" ({row['ratio']:.2f} of {row['peer']})" if row["ratio"] is not None else ""
    span = "" if row["low"] is None else f"{row['low']:.3g} to {row['high']:.3g}"
    count = "" if row["n"] is None else str(row["n"])
    bar = "" if row["bar"] is None else f"{row['sense']} {row['bar']:.3g}"
    met = {None: "", True: "yes", False: "**no**"}[row["met"]]
    value = f"{row['value']:.3g} {row['unit']}".strip()
    return f"| {row['what']} | {value}{peer} | {span} | {count} | {bar} | {met} |"


def renew() -> None:
    """Write the page anew."""
    README.write_text(renewed(README.read_text()))


if __name__ == "__main__":
    renew()
