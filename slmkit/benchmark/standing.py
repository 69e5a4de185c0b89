"""Which rows may be ranked together, and which are refused: the tables of a leaderboard.

Rows share a table where protocol, data and judges are the same by their hashes; figures of
different judges have nothing to do with each other. Within a table a line is a tokenizer with a
selection of its codebooks, as the paper has it. Nothing here imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slmkit.api import DataError
from slmkit.benchmark.row import SHOWN, Failed, Row, Value
from slmkit.benchmark.row_file import read_row

ROWS = "rows"
"""Folder in which a benchmark leaves its rows, beside much else."""
WHOLE = "all"
"""Selection of what is measured of a tokenizer as a whole, such as its speed."""
ORIGINAL = "original"
"""Selection of what is measured of the recordings themselves, the same for all tokenizers."""
CONTROLS = ("-shuffled",)
"""Endings of metrics that show what the measuring makes of nothing; nobody is best in them."""
OF_MACHINE = ("real-time-factor", "peak-memory")
"""Beginnings of metrics that say as much of the machine as of the tokenizer."""
PAPER = ("mutual-information", "probe-wer", "wer", "similarity")
"""The metrics of the paper's table, which come first."""


@dataclass(frozen=True)
class Line:
    """A tokenizer with a selection of its codebooks."""

    row: Row
    label: str
    selection: str

    @property
    def name(self) -> str:
        """As people read it."""
        return f"{self.label} {self.selection}"

    @property
    def reference(self) -> bool:
        """Whether it is of the recordings, beside which tokenizers are seen and not ranked."""
        return self.selection == ORIGINAL

    def get(self, metric: str) -> Value | Failed | None:
        """The value of a metric, why there is none, or None where it was not asked for."""
        return self.row.values.get(f"{metric}/{self.selection}")

    def items(self, metric: str) -> Mapping[str, tuple[float, float]]:
        """Its items by utterance; none where the row has none."""
        return self.row.items.get(f"{metric}/{self.selection}", {})


@dataclass(frozen=True)
class Table:
    """Rows that may be ranked together; the lines in order of the first metric, the best first."""

    rows: tuple[Row, ...]
    lines: tuple[Line, ...]
    metrics: tuple[str, ...]
    whole: bool = False

    def first(self, metric: str) -> Value | None:
        """A value of the metric, for its unit and direction; None where it failed everywhere."""
        values = (line.get(metric) for line in self.lines)
        return next((value for value in values if isinstance(value, Value)), None)

    def unranked(self, metric: str) -> str:
        """Why nobody is best in a metric; nothing where somebody is."""
        machines = [row.machine for row in self.rows]
        if metric.endswith(CONTROLS):
            return "control"
        if metric.startswith(OF_MACHINE) and any(machine != machines[0] for machine in machines):
            return "on unlike machines"
        return ""

    @property
    def title(self) -> str:
        """Protocol and data, as people read them."""
        row = self.rows[0]
        part = ", whole tokenizers" if self.whole else ""
        return f"{row.protocol.name} on {row.data.name}{part}"

    @property
    def setting(self) -> list[str]:
        """What all rows share, with the hashes that say so."""
        row = self.rows[0]
        shared = [("protocol", row.protocol), ("data", row.data), *sorted(row.judges.items())]
        return [f"{role} {thing.name} ({_short(thing.hash)})" for role, thing in shared]


def find_rows(places: Iterable[Path]) -> list[Path]:
    """The files of rows: of a folder (its folder `rows` if it has one), or as given; each once.

    Raises DataError for a place that is not there, and for a folder without rows.
    """
    found: dict[Path, Path] = {}
    for place in places:
        if place.is_dir():
            folder = place / ROWS if (place / ROWS).is_dir() else place
            files = sorted(folder.glob("*.json"))
            if not files:
                raise DataError(f"{folder}: no rows (.json) here: write some with slmkit bench")
        elif place.is_file():
            files = [place]
        else:
            raise DataError(f"{place}: no such file or folder")
        for file in files:
            found.setdefault(file.resolve(), file)
    return list(found.values())


def read_rows(files: Iterable[Path]) -> tuple[dict[Path, Row], list[str]]:
    """The rows by file, and a line for each fault: of a row, or between two of them."""
    rows, faults = {}, []
    for file in files:
        try:
            rows[file] = read_row(file)
        except DataError as error:
            faults.append(str(error))
    return rows, [*faults, *_clashes(rows)]


def tables(rows: Iterable[Row], tell_apart: bool = False) -> list[Table]:
    """The tables of rows that may stand together, those of most rows first."""
    rows = list(rows)
    names = names_of(rows, tell_apart)
    known = {row.hash: row for row in rows}  # the same row in two files is one row
    by_setting: dict[object, list[Row]] = {}
    for row in known.values():
        by_setting.setdefault(row.setting, []).append(row)
    found = [
        table
        for group in by_setting.values()
        for table in _tables(sorted(group, key=lambda row: names[row.hash]), names)
    ]
    return sorted(
        found, key=lambda table: (-len(table.rows), table.setting, table.whole, table.title)
    )


def titles(found: Sequence[Table]) -> list[str]:
    """A title for each table that no other one has."""
    names = [table.title for table in found]
    return [
        f"{name}, table {number}" if names.count(name) > 1 else name
        for number, name in enumerate(names, 1)
    ]


def names_of(rows: Iterable[Row], tell_apart: bool = False) -> dict[str, str]:
    """The name of each row, by its hash, as it shall be shown; behind it what speaks its codes.

    To tell apart rows that share a name with different weights, the weights' hash stands in it.
    """
    rows = list(rows)
    weights: dict[str, set[str]] = {}
    for row in rows:
        weights.setdefault(row.tokenizer.name, set()).add(row.tokenizer.weights)
    found = {}
    for row in rows:
        name = row.tokenizer.name
        if tell_apart and len(weights[name]) > 1:
            name = f"{name} (weights {row.tokenizer.weights[:SHOWN]})"
        if row.vocoder is not None:
            name = f"{name} + {row.vocoder.name}"
        found[row.hash] = name
    return found


def same_name(rows: Mapping[Path, Row]) -> list[str]:
    """A line for each row whose name another one has with other weights."""
    first: dict[str, tuple[Path, Row]] = {}
    faults = []
    for file, row in rows.items():
        other, theirs = first.setdefault(row.tokenizer.name, (file, row))
        if theirs.tokenizer.weights != row.tokenizer.weights:
            faults.append(
                f"{file}: '{row.tokenizer.name}' has other weights than in {other}: measure one "
                f"under another name, or build with --tell-apart"
            )
    return faults


def _clashes(rows: Mapping[Path, Row]) -> Iterator[str]:
    """Two different measurements of one tokenizer in one table; one metric in two units."""
    places: dict[object, tuple[Path, Row]] = {}
    units: dict[object, tuple[Path, Value]] = {}
    for file, row in rows.items():
        same = (row.tokenizer.name, row.tokenizer.weights, row.vocoder, row.setting)
        other, theirs = places.setdefault(same, (file, row))
        if theirs.hash != row.hash:
            yield (
                f"{file}: '{row.tokenizer.name}' is measured in the same way in {other}: "
                f"leave out one of them"
            )
        for key, value in row.values.items():
            if isinstance(value, Value):
                metric = key.rpartition("/")[0]
                place, known = units.setdefault((row.setting, metric), (file, value))
                if (known.unit, known.direction) != (value.unit, value.direction):
                    yield f"{file}: {key}: unit or direction are not those in {place}"


def _tables(rows: Sequence[Row], names: Mapping[str, str]) -> Iterator[Table]:
    """One of selections of codebooks, and one of what is measured of whole tokenizers."""
    selections: dict[str, set[str]] = {}
    for row in rows:
        for key in row.values:
            metric, _, selection = key.rpartition("/")
            selections.setdefault(metric, set()).add(selection)
    whole = [metric for metric, some in selections.items() if some == {WHOLE}]
    others = [metric for metric in selections if metric not in whole]
    others.sort(key=lambda m: (m.endswith(CONTROLS), PAPER.index(m) if m in PAPER else len(PAPER)))
    for metrics in filter(None, (others, whole)):
        lines = list(_lines(rows, names, metrics))
        lines.sort(key=lambda line: _order(line.get(metrics[0])))
        yield Table(tuple(rows), tuple(lines), tuple(metrics), metrics is whole)


def _lines(rows: Sequence[Row], names: Mapping[str, str], metrics: Sequence[str]) -> Iterator[Line]:
    """A line for each tokenizer and selection that has one of these metrics; one for the recordings
    themselves."""
    heard = False
    for row in rows:
        keys = [key.rpartition("/") for key in row.values]
        for selection in dict.fromkeys(key[2] for key in keys if key[0] in metrics):
            if selection != ORIGINAL:
                yield Line(row, names[row.hash], selection)
            elif not heard:
                heard = True
                yield Line(row, "recordings", selection)


def _short(digest: str) -> str:
    """So much of a hash as people compare; a name before it says nothing new."""
    return digest.rpartition("-")[2][:SHOWN]


def _order(value: Value | Failed | None) -> float:
    """The best first, and last what has no value."""
    if not isinstance(value, Value):
        return math.inf
    return value.value if value.direction == "lower" else -value.value
