"""A run that has been: its stages, results and fitted parts, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmkit.api import CodeSpec, DataError, Result, UnknownNameError
from slmkit.host import build, host, is_part, load_part
from slmkit.recipe import graph
from slmkit.recipe.folder import RESULTS_FILE, RUN_FILE, read_json


@dataclass(frozen=True)
class SavedRun:
    """A finished run.

    Attributes:
        folder: of the run.
        recipe: as it was resolved, plain values.
        paths: the folder of each stage that is done, in the order of the run.
        results: the rows of all stages.
    """

    folder: Path
    recipe: Mapping[str, Any]
    paths: Mapping[str, Path]
    results: tuple[Result, ...]

    def _repr_html_(self) -> str:
        from slmkit.recipe.folder import read_record
        from slmkit.recipe.showing import run_html

        found = {stage: read_record(path) for stage, path in self.paths.items()}
        records = {stage: record for stage, record in found.items() if record is not None}
        return run_html(str(self.recipe["name"]), self.folder, self.results, records)

    def path(self, stage: str) -> Path:
        """The folder of a stage. Raises UnknownNameError."""
        if stage not in self.paths:
            raise UnknownNameError("finished stage", stage, self.paths, str(self.folder))
        return self.paths[stage]

    def find(self, slot: str) -> Path | None:
        """The folder in which the last stage left a slot's part, or None where nothing was."""
        for folder in reversed(list(self.paths.values())):
            if is_part(folder / slot):
                return folder / slot
        return None

    def part(self, slot: str) -> Any:
        """The part that the last stage left in a slot. Raises UnknownNameError."""
        folder = self.find(slot)
        if folder is not None:
            return load_part(folder)
        left = {f.name for path in self.paths.values() for f in path.iterdir() if is_part(f)}
        raise UnknownNameError("fitted part", slot, left, str(self.folder))

    def slot_of(self, stage: str, slot: str) -> str:
        """The recipe's slot that a stage, or the nearest above it that uses such a one, takes for
        `slot`: a run of several tokenizers has a model for each."""
        stages: Mapping[str, Any] = self.recipe["stages"]
        needs = {name: entry["needs"] for name, entry in stages.items()}
        for name in (stage, *graph.above(stage, needs)):
            if slot in host().find("stage", stages[name]["stage"]).declaration.uses:
                return str((stages[name].get("slots") or {}).get(slot, slot))
        return slot

    def fitted_or_named(self, slot: str, spec: CodeSpec | None = None) -> Any:
        """The part that a stage left in a slot, else as the recipe names it: published weights need
        no fitting. A vocoder so named speaks codes of `spec`. Raises UnknownNameError for a slot
        that the recipe has not."""
        if self.find(slot) is not None:
            return self.part(slot)
        if slot not in self.recipe["parts"]:
            raise UnknownNameError("slot", slot, self.recipe["parts"], str(self.folder))
        entry = dict(self.recipe["parts"][slot])
        kind = entry.pop("kind", slot)
        given = {"spec": spec} if kind == "vocoder" and spec is not None else {}
        return build(kind, entry.pop("part"), entry, **given)


def load(folder: str | Path) -> SavedRun:
    """Open the folder of a run. Raises DataError where it holds none."""
    folder = Path(folder)
    values = read_json(folder / RUN_FILE)
    rows = read_json(folder / RESULTS_FILE)
    try:
        done = [stage for stage in values["stages"] if stage["status"] == "done"]
        paths = {stage["stage"]: folder / stage["folder"] for stage in done}
        results = tuple(Result(**row) for row in rows)
        return SavedRun(folder, values["recipe"], paths, results)
    except (KeyError, TypeError) as error:
        raise DataError(f"{folder / RUN_FILE}: not the record of a run: {error!r}") from None
