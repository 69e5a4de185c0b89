"""`slmkit.api.StageContext` as the engine gives it to a stage."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from slmkit.api import (
    BrokenPluginError,
    CodeSpec,
    Progress,
    Result,
    Savable,
    StageError,
    UnknownNameError,
)
from slmkit.host import Origin, build_part, is_part, load_part, save_part
from slmkit.recipe import graph
from slmkit.recipe.model import Recipe, Slot, Stage
from slmkit.recipe.watch import Watch


class Context:
    """One stage of a recipe at work.

    Attributes:
        folder: the stage's own.
        seed: of the run.
        trainer: options for `lightning.Trainer`; of a stage that does not train, none.
        results: what the stage measured so far.
    """

    def __init__(
        self, recipe: Recipe, stage: Stage, folder: Path, folders: Mapping[str, Path], watch: Watch
    ) -> None:
        self.folder = folder
        self.seed = recipe.seed
        self.trainer = dict(recipe.trainer) if stage.shelved.declaration.trains else {}
        self.results: list[Result] = []
        self._recipe, self._stage, self._watch = recipe, stage, watch
        self._folders = {name: folders[name] for name in graph.above(stage.name, recipe.needs)}

    def part(self, slot: str, spec: CodeSpec | None = None) -> Any:
        """The part in a slot, as fitted by the nearest stage above that gives it, else new; a
        vocoder then speaks codes of `spec`.

        A tokenizer that decodes comes as a vocoder where a vocoder is due.
        """
        kind, folder = self._slot(slot).shelved.kind, self.find(slot)
        given = {"spec": spec} if kind == "vocoder" and spec is not None else {}
        part = self.fresh(slot, **given) if folder is None else load_part(folder)
        if slot == "vocoder" and kind == "tokenizer":
            from slmkit.codecs.decoding_vocoder import as_vocoder

            return as_vocoder(part)
        return part

    def fresh(self, slot: str, **given: Any) -> Any:
        """The part in a slot newly built from the recipe's options, whatever was fitted."""
        wanted = self._slot(slot)
        return build_part(wanted.shelved, wanted.options, **given)

    def find(self, slot: str) -> Path | None:
        """The folder in which the nearest stage above left this slot, or None."""
        name = self._stage.slot(slot)
        for folder in self._folders.values():
            if is_part(folder / name):
                return folder / name
        return None

    def left(self, name: str) -> Path | None:
        """What the nearest stage above left under a name, or None."""
        for above, folder in self._folders.items():
            leaves = self._recipe.stages[above].shelved.declaration.leaves
            if name in leaves and (folder / name).exists():
                return folder / name
        return None

    def read(self, name: str) -> Path:
        """The same for what must be there. Raises StageError."""
        place = self.left(name)
        if place is None:
            raise StageError(f"no stage above '{self._stage.name}' left '{name}'")
        return place

    def path(self, stage: str) -> Path:
        """The folder of a stage above. Raises UnknownNameError for any other."""
        if stage not in self._folders:
            where = f"stage '{self._stage.name}'"
            raise UnknownNameError("stage above", stage, self._folders, where)
        return self._folders[stage]

    def keep(self, slot: str, part: Savable) -> None:
        """Leave a fitted part for the stages below: one that `part` or `fresh` gave."""
        self._slot(slot)
        if slot not in self._stage.gives:
            raise BrokenPluginError(
                f"stage '{self._stage.shelved.name}' keeps the slot '{slot}' and does not declare "
                f"that it gives it"
            )
        origin = getattr(part, "origin", None)
        if not isinstance(origin, Origin):
            raise BrokenPluginError(
                f"stage '{self._stage.shelved.name}' keeps a {type(part).__name__} that was not "
                f"built by context.part or context.fresh"
            )
        folder = self.folder / self._stage.slot(slot)
        save_part(part, folder, origin.shelved, origin.options, origin.given)

    def result(self, *results: Result) -> None:
        """Add rows to the run's results."""
        self.results.extend(results)

    def progress(self, text: str, total: int | None = None) -> AbstractContextManager[Progress]:
        """A progress display for the length of a `with` block."""
        return self._watch.progress(text, total)

    def say(self, line: str) -> None:
        """A line for the person who watches."""
        self._watch.say(f"  {line}")

    def missing(self) -> list[str]:
        """What the stage declares to give or leave, and has not."""
        gives = self._stage.gives
        leaves = self._stage.shelved.declaration.leaves
        return [
            *(slot for slot in gives if not is_part(self.folder / self._stage.slot(slot))),
            *(name for name in leaves if not (self.folder / name).exists()),
        ]

    def _slot(self, slot: str) -> Slot:
        """A slot that the stage declared; others are not in its fingerprint."""
        if slot not in (*self._stage.uses, *self._stage.gives):
            raise BrokenPluginError(
                f"stage '{self._stage.shelved.name}' asks for the slot '{slot}' and does not "
                f"declare that it uses it"
            )
        return self._recipe.slots[self._stage.slot(slot)]
