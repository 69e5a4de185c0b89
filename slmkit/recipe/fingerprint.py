"""Fingerprints of stages: everything that can change what a stage leaves behind."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from slmkit.host import Shelved, inner_parts
from slmkit.recipe.model import Recipe, Stage
from slmkit.recipe.source import source_hash
from slmkit.training.arguments import HARMLESS

SHOWN = 8
"""Hexadecimal digits of a fingerprint in a folder's name."""


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """A hash and what it is made of, as plain JSON."""

    digest: str
    made_of: Mapping[str, Any]

    @property
    def short(self) -> str:
        """As it stands in folder names."""
        return self.digest[:SHOWN]


def fingerprints(recipe: Recipe, hash_content: Callable[[Path], str]) -> dict[str, Fingerprint]:
    """The fingerprint of every stage; `hash_content` hashes a file or folder that an option names.

    It covers the stage's part and options, the slots that it uses or gives, the fingerprints of
    the stages it needs, the seed, and the trainer's options where the stage trains.
    """
    found: dict[str, Fingerprint] = {}
    for stage in recipe.stages.values():
        made_of = {
            "stage": _part(stage.shelved, stage.options, hash_content),
            "slots": _slots(recipe, stage, hash_content),
            "needs": {need: found[need].digest for need in stage.needs},
            "seed": recipe.seed,
            "trainer": _trainer(recipe, stage),
        }
        text = json.dumps(made_of, sort_keys=True, default=str)
        found[stage.name] = Fingerprint(hashlib.sha256(text.encode()).hexdigest(), made_of)
    return found


def _part(shelved: Shelved, options: Any, hash_content: Callable[[Path], str]) -> dict[str, Any]:
    values = dataclasses.asdict(options)
    held = {n: _part(*each, hash_content) for n, each in inner_parts(options).items()}
    return {
        "kind": shelved.kind,
        "name": shelved.name,
        "revision": shelved.declaration.revision,
        "distribution": shelved.distribution,
        "version": shelved.version,
        "source": source_hash(shelved.declaration.target),
        "options": values,
        "content": {path: hash_content(Path(path)) for path in sorted(_paths(values))},
        **({"parts": held} if held else {}),
    }


def _slots(
    recipe: Recipe, stage: Stage, hash_content: Callable[[Path], str]
) -> dict[str, dict[str, Any]]:
    own_names = [*stage.uses, *stage.gives]
    slots = {name: recipe.slots[stage.slot(name)] for name in own_names}
    return {
        name: {"slot": slot.name, **_part(slot.shelved, slot.options, hash_content)}
        for name, slot in slots.items()
    }


def _trainer(recipe: Recipe, stage: Stage) -> dict[str, Any]:
    if not stage.shelved.declaration.trains:
        return {}
    return {name: value for name, value in recipe.trainer.items() if name not in HARMLESS}


def _paths(value: Any) -> set[str]:
    """The texts among option values that name something on this disk."""
    if isinstance(value, Mapping):
        return set().union(*(_paths(inner) for inner in value.values()))
    if isinstance(value, list | tuple):
        return set().union(*(_paths(inner) for inner in value))
    # a lone name such as "train" is a word, not the folder that happens to be called so
    if isinstance(value, str) and ("/" in value or "." in value) and _exists(value):
        return {value}
    return set()


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False
