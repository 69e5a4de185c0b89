"""`run.json` and `results.json`: what a run is, in one place, for reports and other programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from slmkit.api import SlmkitError
from slmkit.recipe.folder import (
    RESULTS_FILE,
    RUN_FILE,
    STAGES,
    Record,
    now,
    read_json,
    read_record,
    write_json,
)
from slmkit.recipe.machine import machine, versions
from slmkit.recipe.model import Recipe
from slmkit.recipe.plan import Step


def write_run(recipe: Recipe, folder: Path, plan: list[Step], status: str, started: str) -> None:
    """Write both files from the stages' records as they are now; `status` is of the run."""
    stages = list(records(plan))
    slots = [slot.shelved.distribution for slot in recipe.slots.values()]
    distributions = {*slots, *(stage.shelved.distribution for stage in recipe.stages.values())}
    write_json(
        folder / RUN_FILE,
        {
            "name": recipe.name,
            "status": status,
            "recipe_file": str(recipe.path),
            "profile": recipe.profile,
            "recipe": recipe.plain(),
            "stages": [{**_place(step), **_figures(record)} for step, record in stages],
            "seconds": round(sum(record.seconds for _, record in stages if record), 3),
            "started": started,
            "finished": None if status == "running" else now(),
            "versions": versions(distributions),
            "machine": machine(),
        },
    )
    rows = [asdict(row) for _, record in stages if record for row in record.results]
    write_json(folder / RESULTS_FILE, rows)


def records(plan: list[Step]) -> Iterator[tuple[Step, Record | None]]:
    """Each step with its record as it is now, None where it has not begun."""
    for step in plan:
        record = read_record(step.folder)
        known = record is not None and record.fingerprint == step.fingerprint.digest
        yield step, record if known else None


def recorded(folder: Path) -> list[str] | None:
    """The fingerprints of the finished run that the folder's files tell of, or None."""
    try:
        read_json(folder / RESULTS_FILE)
        values = read_json(folder / RUN_FILE)
        if values["status"] not in ("done", "partial"):
            return None
        return [stage["fingerprint"] for stage in values["stages"]]
    except (SlmkitError, KeyError, TypeError):
        return None


def _place(step: Step) -> dict[str, Any]:
    return {
        "stage": step.stage.name,
        "part": step.stage.shelved.name,
        "needs": list(step.stage.needs),
        "folder": f"{STAGES}/{step.folder.name}",
        "fingerprint": step.fingerprint.digest,
    }


def _figures(record: Record | None) -> dict[str, Any]:
    if record is None:
        return {"status": "open"}
    return {
        "status": record.status,
        "seconds": round(record.seconds, 3),
        "peak_memory": record.peak_memory,
        "peak_memory_children": record.peak_memory_children,
        "attempts": record.attempts,
        "started": record.started,
        "finished": record.finished,
    }
