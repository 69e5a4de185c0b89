"""What a run's folder tells, read for a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmkit.api import DataError
from slmkit.recipe.folder import RESULTS_FILE, RUN_FILE, read_json

BLOCKS_FILE = "report.json"
ABOUT = ("name", "recipe", "stages", "seconds", "started", "machine", "versions")
ROW = ("metric", "split", "value", "low", "high", "n", "unit", "direction")
STAGE = ("stage", "part", "folder")


@dataclass(frozen=True)
class RunFiles:
    """A run: its folder, `run.json`, and the rows of `results.json`."""

    folder: Path
    about: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]

    def blocks(self) -> Iterator[tuple[Path, Mapping[str, Any]]]:
        """What stages left for the page: the stage's folder, and a block. Raises DataError."""
        for stage in self.about["stages"]:
            folder = self.folder / stage["folder"]
            if not (folder / BLOCKS_FILE).exists():
                continue
            for block in read_json(folder / BLOCKS_FILE):
                if not isinstance(block, dict):
                    raise DataError(f"{folder / BLOCKS_FILE}: a block is a mapping, not {block!r}")
                yield folder, block


def read_run(folder: Path) -> RunFiles:
    """Read a run's folder. Raises DataError where it is none, or its files are not whole."""
    about, rows = read_json(folder / RUN_FILE), read_json(folder / RESULTS_FILE)
    _check(about, ABOUT, folder / RUN_FILE)
    for stage in _list(about["stages"], folder / RUN_FILE):
        _check(stage, STAGE, folder / RUN_FILE)
    for row in _list(rows, folder / RESULTS_FILE):
        _check(row, ROW, folder / RESULTS_FILE)
    return RunFiles(folder, about, rows)


def _check(values: Any, names: Sequence[str], file: Path) -> None:
    if not isinstance(values, dict):
        raise DataError(f"{file}: a mapping is due, not {values!r}; run the recipe again")
    missing = [name for name in names if name not in values]
    if missing:
        raise DataError(f"{file}: '{missing[0]}' is missing; run the recipe again, which writes it")


def _list(values: Any, file: Path) -> list[Any]:
    if not isinstance(values, list):
        raise DataError(f"{file}: a list is due, not {type(values).__name__}; run the recipe again")
    return values
