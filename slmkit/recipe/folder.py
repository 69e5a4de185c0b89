"""The folder of a run: what lies where, the record of each stage, and the lock.

runs/NAME/run.json                          the recipe, versions, machine, stages
runs/NAME/results.json                      the results of all stages
runs/NAME/stages/STAGE-FINGERPRINT/         what a stage left
runs/NAME/stages/STAGE-FINGERPRINT/stage.json  its record
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slmkit.api import DataError, Result, StageError
from slmkit.data.atomic import write_atomically

RUN_FILE = "run.json"
RESULTS_FILE = "results.json"
STAGE_FILE = "stage.json"
STAGES = "stages"
LOCK = ".lock"


@dataclass
class Record:
    """What is known of a stage; kept as `stage.json` in its folder.

    Attributes:
        status: "running" (also after a kill), "failed", "interrupted" or "done".
        fingerprint: the whole hash; `made_of` what went into it.
        seconds: of work, over all attempts that ended by themselves.
        peak_memory: bytes that the process held at most; `peak_memory_children` the same of the
            largest process that it started.
        started, finished: UTC, ISO 8601.
    """

    stage: str
    part: str
    status: str
    fingerprint: str
    made_of: Mapping[str, Any]
    seconds: float = 0.0
    peak_memory: int = 0
    peak_memory_children: int = 0
    attempts: int = 0
    started: str = ""
    finished: str | None = None
    results: list[Result] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Put the record into the stage's folder, in one step."""
        write_json(folder / STAGE_FILE, dataclasses.asdict(self))


def read_record(folder: Path) -> Record | None:
    """The record of a stage's folder, or None where there is none that can be read."""
    try:
        values = json.loads((folder / STAGE_FILE).read_text())
        values["results"] = [Result(**row) for row in values["results"]]
        return Record(**values)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def write_json(path: Path, value: Any) -> None:
    """Write JSON for people and machines, in one step."""
    write_atomically(path, (json.dumps(value, indent=1, default=str) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read JSON. Raises DataError where the file is missing or broken."""
    try:
        return json.loads(path.read_text())
    except OSError:
        raise DataError(f"{path}: no such file; is this the folder of a run?") from None
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from None


def stage_folder(run: Path, stage: str, fingerprint: str) -> Path:
    """Where a stage with this (short) fingerprint lies."""
    return run / STAGES / f"{stage}-{fingerprint}"


def now() -> str:
    """The time, UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def empty(folder: Path) -> None:
    """Make a folder that holds nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def size_of(folder: Path) -> int:
    """Bytes below a folder."""
    return sum(f.lstat().st_size for f in folder.rglob("*") if f.is_file() and not f.is_symlink())


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold a run's folder alone. Raises StageError where another process does.

    The lock belongs to the process and goes with it, so that a killed run leaves none behind.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        handle = os.open(run / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StageError(f"{run}: cannot be written to: {error.strerror}") from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.read(handle, 100).decode(errors="replace").strip()
            raise StageError(
                f"{run}: another run is at work here (process {owner or 'unknown'}); wait for it, "
                f"or give this one a folder of its own with --output"
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
