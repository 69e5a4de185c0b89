"""What a run will do with each stage, decided before anything is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from slmkit.api import OptionsError, StageError, UnknownNameError
from slmkit.recipe import graph
from slmkit.recipe.fingerprint import Fingerprint
from slmkit.recipe.folder import Record, read_record, stage_folder
from slmkit.recipe.model import Recipe, Stage

Action = Literal["keep", "run", "resume", "rerun", "leave"]
"""keep: done before; run: for the first time; resume: go on with a broken one; rerun: from
nothing though there is something; leave: not asked for."""


@dataclass(frozen=True)
class Step:
    """One stage, its folder, what is there, and what will be done."""

    stage: Stage
    fingerprint: Fingerprint
    folder: Path
    record: Record | None
    action: Action

    @property
    def works(self) -> bool:
        """Whether there is something to do."""
        return self.action in ("run", "resume", "rerun")


@dataclass(frozen=True)
class Choice:
    """What the person asked to run: from a stage on, one stage only, everything anew."""

    from_stage: str | None = None
    only: str | None = None
    force: bool = False


def make_plan(
    recipe: Recipe, run: Path, prints: Mapping[str, Fingerprint], choice: Choice
) -> list[Step]:
    """The steps of a run, in order. Raises UnknownNameError, OptionsError or StageError."""
    anew = _anew(recipe, choice)
    only = choice.only
    steps = []
    for stage in recipe.stages.values():
        folder = stage_folder(run, stage.name, prints[stage.name].short)
        record = read_record(folder)
        done = record is not None and (record.status, record.fingerprint) == (
            "done",
            prints[stage.name].digest,
        )
        action: Action
        if only is not None and stage.name != only:
            action = "keep" if done else "leave"
        elif stage.name in anew:
            action = "rerun" if folder.exists() else "run"
        elif done:
            action = "keep"
        else:
            action = "resume" if folder.exists() else "run"
        steps.append(Step(stage, prints[stage.name], folder, record, action))
    if only is not None:
        _check_above(recipe, only, {step.stage.name: step.action for step in steps})
    return steps


def _anew(recipe: Recipe, choice: Choice) -> set[str]:
    """The stages that are to start from nothing."""
    from_stage, only = choice.from_stage, choice.only
    for stage in (from_stage, only):
        if stage is not None and stage not in recipe.stages:
            raise UnknownNameError("stage", stage, recipe.stages, str(recipe.path))
    if from_stage is not None and only is not None:
        raise OptionsError(["--from runs a stage and all below it, --only runs one: give one"])
    if from_stage is not None:
        return {from_stage, *graph.below(from_stage, recipe.needs)}
    if choice.force:
        return {only} if only is not None else set(recipe.stages)
    return set()


def _check_above(recipe: Recipe, only: str, actions: Mapping[str, Action]) -> None:
    lacking = [s for s in graph.above(only, recipe.needs) if actions[s] == "leave"]
    if lacking:
        names = ", ".join(f"'{name}'" for name in recipe.stages if name in lacking)
        raise StageError(f"stage '{only}' needs {names}, not done yet; run without --only first")
