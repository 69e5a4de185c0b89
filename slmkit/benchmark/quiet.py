"""The context of a training that is a piece of the benchmark: a folder, a seed, and nobody to
listen. See `slmkit.api.StageContext`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from slmkit.api import CodeSpec, Progress, Result, Savable, StageError
from slmkit.recipe.watch import SilentWatch


class QuietContext:
    """A folder for checkpoints and a seed; there are no slots and no stages above."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed
        self.trainer: Mapping[str, Any] = {"logger": False}
        folder.mkdir(parents=True, exist_ok=True)

    def part(self, slot: str, spec: CodeSpec | None = None) -> Any:
        raise self._nothing(slot)

    def fresh(self, slot: str, **given: Any) -> Any:
        raise self._nothing(slot)

    def find(self, slot: str) -> Path | None:
        """Nothing was fitted above."""
        return None

    def left(self, name: str) -> Path | None:
        """Nothing was left above."""
        return None

    def read(self, name: str) -> Path:
        raise self._nothing(name)

    def path(self, stage: str) -> Path:
        raise self._nothing(stage)

    def keep(self, slot: str, part: Savable) -> None:
        raise self._nothing(slot)

    def result(self, *results: Result) -> None:
        """What is measured goes into the row instead."""

    def progress(self, text: str, total: int | None = None) -> AbstractContextManager[Progress]:
        """Shown to nobody: several trainings may run side by side."""
        return SilentWatch().progress(text, total)

    def say(self, line: str) -> None:
        """To nobody."""

    def _nothing(self, name: str) -> StageError:
        return StageError(f"a training of the benchmark asked for '{name}', and has no recipe")
