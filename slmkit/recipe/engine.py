"""Runs a recipe: `slmkit run` on the command line, `slmkit.run` in Python."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from slmkit.api import Result, SlmkitError, StageError
from slmkit.recipe.context import Context
from slmkit.recipe.failure import LOG, explained, is_interrupt
from slmkit.recipe.fingerprint import fingerprints
from slmkit.recipe.fit import check_available, check_fit
from slmkit.recipe.folder import Record, empty, locked, now
from slmkit.recipe.machine import forget_peak_memory, peak_memory
from slmkit.recipe.model import Recipe
from slmkit.recipe.overrides import Overrides
from slmkit.recipe.plan import Choice, Step, make_plan
from slmkit.recipe.resolve import resolve
from slmkit.recipe.runfile import recorded, records, write_run
from slmkit.recipe.seeding import seed_all
from slmkit.recipe.shipped import find_recipe
from slmkit.recipe.watch import SilentWatch, Watch, default_watch, duration
from slmkit.training.devices import STAGE, announced, helped_stage, helps

SOUNDS = (".wav", ".flac")


@dataclass(frozen=True)
class RunResult:
    """What a run left.

    Attributes:
        recipe: as it was resolved.
        folder: of the run.
        paths: the folder of each stage, in the recipe's order.
        stages: the record of each stage that is done.
        ran: the stages that this very run worked on.
        results: the rows of all stages.
    """

    recipe: Recipe
    folder: Path
    paths: Mapping[str, Path]
    stages: Mapping[str, Record]
    ran: tuple[str, ...]
    results: tuple[Result, ...]

    def __repr__(self) -> str:
        done = f"{len(self.stages)} stages, {len(self.results)} results"
        return f"RunResult({self.recipe.name!r} in {str(self.folder)!r}: {done})"

    def _repr_html_(self) -> str:
        from slmkit.recipe.showing import run_html

        return run_html(self.recipe.name, self.folder, self.results, self.stages)

    @cached_property
    def audio(self) -> Mapping[str, list[Path]]:
        """The sounds that each stage left."""
        return {
            stage: sorted(f for f in path.rglob("*") if f.suffix in SOUNDS)
            for stage, path in self.paths.items()
        }


def run(
    recipe: str | Path,
    *,
    profile: str | None = None,
    overrides: Overrides = (),
    output: str | Path | None = None,
    from_stage: str | None = None,
    only: str | None = None,
    force: bool = False,
    dry_run: bool = False,
    watch: Watch | None = None,
    **more: Any,
) -> RunResult:
    """Run a recipe, a path or the name of a shipped one; what is done already is kept.

    `overrides` are `KEY=VALUE` texts or a mapping; further keyword arguments are overrides too:

    >>> run("speechgpt", profile="smoke", tokenizer={"clusters": 100}, seed=1)

    `from_stage` starts a stage and all below it anew, `only` runs one stage, `force` starts
    everything anew, `dry_run` only says what would be done. Raises SlmkitError.
    """
    if watch is None:
        watch = default_watch()
    resolved = resolve(find_recipe(recipe), profile, overrides, more)
    check_fit(resolved)
    folder = run_folder(resolved) if output is None else Path(output)
    prints = fingerprints(resolved, _content_hash(folder))
    choice = Choice(from_stage, only, force)
    plan = make_plan(resolved, folder, prints, choice)
    if helps():
        _help(resolved, plan)
    elif dry_run:
        _tell(plan, folder, watch)
    elif _is_finished(plan, folder):
        watch.say(f"nothing to do: {_counted(plan)} of {folder} done")
    else:
        check_available(resolved, [step.stage.name for step in plan if step.works])
        with locked(folder):
            # another run may have worked here while this one waited to look
            plan = make_plan(resolved, folder, prints, choice)
            _Runner(resolved, folder, plan, watch).run()
    return _result(resolved, folder, plan)


def run_folder(recipe: Recipe) -> Path:
    """Where a recipe runs unless told otherwise: `runs/NAME` or `runs/NAME-PROFILE`."""
    name = recipe.name if recipe.profile in (None, "default") else f"{recipe.name}-{recipe.profile}"
    return Path("runs") / name


class _Runner:
    """One run, its folder locked."""

    def __init__(self, recipe: Recipe, folder: Path, plan: list[Step], watch: Watch) -> None:
        self.recipe, self.folder, self.plan, self.watch = recipe, folder, plan, watch
        self.folders = {step.stage.name: step.folder for step in plan}
        self.started = now()
        self.clock = time.monotonic()

    def run(self) -> None:
        """Do every step that has something to do."""
        working = [step for step in self.plan if step.works]
        if working:
            kept = sum(step.action == "keep" for step in self.plan)
            self.watch.say(f"{self.recipe.name}: {len(working)} stages to run, {kept} done before")
        try:
            self._write("running")
            for number, step in enumerate(self.plan, start=1):
                if step.works:
                    self._work(step, f"[{number}/{len(self.plan)}] {step.stage.name}")
                    self._write("running")
            self._write("done" if all(step.action != "leave" for step in self.plan) else "partial")
        except BaseException as error:
            with suppress(OSError, SlmkitError):
                self._write("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        took = duration(time.monotonic() - self.clock)
        self.watch.say(f"{self.folder}: {_counted(self.plan)} done in {took}")
        from slmkit.recipe.report import write_report

        self.watch.say(f"report: {write_report(self.folder)}")

    def _work(self, step: Step, title: str) -> None:
        """Run one stage and record how it ended. Raises SlmkitError or KeyboardInterrupt."""
        record = self._open(step)
        self.watch.say(f"{title} (goes on)" if step.action == "resume" else title)
        context = Context(self.recipe, step.stage, step.folder, self.folders, self.watch)
        begun = time.monotonic()
        forget_peak_memory()
        try:
            with announced(STAGE, step.stage.name):
                _call(step, context, self.recipe.seed)
            if missing := context.missing():
                raise StageError(f"stage '{step.stage.name}' ended without {', '.join(missing)}")
        except BaseException as error:
            stopped = is_interrupt(error)
            # a full disk has no room for the record either; "running" then stands, and is right
            with suppress(OSError, SlmkitError):
                self._close(step, record, context, begun, "interrupted" if stopped else "failed")
            if stopped:
                raise KeyboardInterrupt(f"in stage '{step.stage.name}'") from None
            raise explained(error, step.stage.name, step.folder, self.folders.values()) from error
        (step.folder / LOG).unlink(missing_ok=True)
        self._close(step, record, context, begun, "done")
        self.watch.say(f"{title} done in {duration(time.monotonic() - begun)}")

    def _open(self, step: Step) -> Record:
        """Make the stage's folder and its record; a broken stage finds what it had made."""
        before = step.record if step.action == "resume" else None
        if step.action == "rerun":
            empty(step.folder)
        step.folder.mkdir(parents=True, exist_ok=True)
        record = Record(
            stage=step.stage.name,
            part=step.stage.shelved.name,
            status="running",
            fingerprint=step.fingerprint.digest,
            made_of=step.fingerprint.made_of,
            seconds=before.seconds if before else 0.0,
            attempts=before.attempts + 1 if before else 1,
            started=before.started if before else now(),
        )
        record.write(step.folder)
        return record

    def _close(
        self, step: Step, record: Record, context: Context, begun: float, status: str
    ) -> None:
        """Record how a stage ended."""
        record.status = status
        record.seconds += time.monotonic() - begun
        record.peak_memory, record.peak_memory_children = peak_memory()
        record.finished = now()
        record.results = context.results
        record.write(step.folder)

    def _write(self, status: str) -> None:
        write_run(self.recipe, self.folder, self.plan, status, self.started)


def _help(recipe: Recipe, plan: list[Step]) -> None:
    """Enter the stage whose training called for this process, which ends with the training."""
    step = next(step for step in plan if step.stage.name == helped_stage())
    folders = {each.stage.name: each.folder for each in plan}
    context = Context(recipe, step.stage, step.folder, folders, SilentWatch())
    _call(step, context, recipe.seed)


def _call(step: Step, context: Context, seed: int) -> None:
    """The stage itself, with all random numbers as they are in every run."""
    function = step.stage.shelved.load()
    seed_all(seed)
    function(step.stage.options, context)


def _is_finished(plan: list[Step], folder: Path) -> bool:
    """Whether there is nothing to do, and the run's own files tell so."""
    if any(step.works for step in plan):
        return False
    return recorded(folder) == [step.fingerprint.digest for step in plan]


def _counted(plan: list[Step]) -> str:
    left = sum(step.action == "leave" for step in plan)
    return f"{len(plan) - left} of {len(plan)} stages" if left else f"all {len(plan)} stages"


def _result(recipe: Recipe, folder: Path, plan: list[Step]) -> RunResult:
    done = {s.stage.name: r for s, r in records(plan) if r is not None and r.status == "done"}
    return RunResult(
        recipe=recipe,
        folder=folder,
        paths={step.stage.name: step.folder for step in plan},
        stages=done,
        ran=tuple(step.stage.name for step in plan if step.works),
        results=tuple(row for record in done.values() for row in record.results),
    )


def _tell(plan: list[Step], folder: Path, watch: Watch) -> None:
    words = {
        "keep": "is done",
        "run": "would run",
        "resume": "would go on",
        "rerun": "would run again from the start",
        "leave": "is left alone",
    }
    watch.say(f"in {folder}:")
    for step in plan:
        watch.say(f"  {step.stage.name} {words[step.action]} ({step.folder.name})")


def _content_hash(run: Path) -> Callable[[Path], str]:
    """Hashes what options name; the folder of the run remembers what was hashed."""

    def hash_it(path: Path) -> str:
        from slmkit.data.content import content_hash

        return content_hash(path, run if run.is_dir() else None)

    return hash_it
