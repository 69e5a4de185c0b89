"""A checked recipe: its slots, its stages, and where each value comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slmkit.api import Can
from slmkit.host import Shelved
from slmkit.recipe import graph
from slmkit.recipe.document import Key
from slmkit.recipe.layers import Origin


@dataclass(frozen=True)
class Slot:
    """A part of a recipe: where it stands, what it is, its checked options, what it can do."""

    name: str
    shelved: Shelved
    options: Any
    can: Can

    def __str__(self) -> str:
        return f"{self.name} '{self.shelved.name}'"


@dataclass(frozen=True)
class Stage:
    """A step of a recipe.

    Attributes:
        needs: the stages whose folders it reads.
        uses, gives: the slots that it sees, by the names that it knows them by.
        slots: its own names of slots to the recipe's, where they differ.
    """

    name: str
    shelved: Shelved
    options: Any
    can: Can
    needs: tuple[str, ...]
    uses: tuple[str, ...]
    gives: tuple[str, ...]
    slots: Mapping[str, str] = field(default_factory=dict)

    def slot(self, name: str) -> str:
        """The recipe's name of a slot of this stage."""
        return self.slots.get(name, name)

    @property
    def touched(self) -> list[str]:
        """The recipe's slots that it uses or gives."""
        return list(dict.fromkeys(self.slot(name) for name in (*self.uses, *self.gives)))


@dataclass(frozen=True)
class Recipe:
    """A checked recipe.

    Attributes:
        path: of its file.
        profile: the chosen one, or None.
        values: the whole of it as plain values, defaults and interpolations filled in.
        origins: where each value comes from; a key without one is a default.
        slots, stages: by name, the stages in the order in which they run.
        trainer: options for `lightning.Trainer`.
    """

    path: Path
    profile: str | None
    name: str
    seed: int
    values: Mapping[str, Any]
    origins: Mapping[Key, Origin]
    slots: Mapping[str, Slot]
    stages: Mapping[str, Stage]
    trainer: Mapping[str, Any]

    @property
    def needs(self) -> graph.Needs:
        """What each stage needs."""
        return {stage.name: stage.needs for stage in self.stages.values()}

    def plain(self) -> dict[str, Any]:
        """The recipe as plain values, the stages in the order in which they run."""
        stages = {}
        for name, stage in self.stages.items():
            entry = dict(self.values["stages"][name])
            stages[name] = {"stage": entry.pop("stage"), "needs": list(stage.needs), **entry}
            stages[name]["needs"] = list(stage.needs)
        return {**self.values, "stages": stages}
