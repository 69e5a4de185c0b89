"""KEY=VALUE from the command line, or a mapping from Python, as layers of a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmkit.api import UnknownNameError
from slmkit.recipe.document import Key, read_value
from slmkit.recipe.layers import Origin, Tree

COMMAND_LINE = Origin("on the command line", "command line")
PLAIN = ("name", "seed", "trainer", "parts", "stages")
"""The top-level keys of a recipe that an override may name."""

Overrides = Iterable[str] | Mapping[str, Any]


@dataclass(frozen=True)
class Override:
    """One changed value: the key as it was typed, and the value."""

    typed: str
    value: Any


def read_overrides(given: Overrides) -> tuple[list[Override], list[str]]:
    """The overrides, and the faults of those that cannot be read.

    Texts are `KEY=VALUE` with a YAML value; a mapping's keys are the same, its values plain, and
    mappings inside it lead further down (`{"tokenizer": {"clusters": 100}}`).
    """
    if isinstance(given, str):
        given = [given]
    if isinstance(given, Mapping):
        return [Override(".".join(key), value) for key, value in _flat(given, ())], []
    overrides, faults = [], []
    for text in given:
        typed, sign, value = str(text).partition("=")
        if not sign or not typed.strip():
            faults.append(f"{COMMAND_LINE.place}: '{text}': an override is KEY=VALUE")
            continue
        try:
            overrides.append(Override(typed.strip(), read_value(value)))
        except ValueError as error:
            faults.append(f"{COMMAND_LINE.place}: key '{typed}': {error}")
    return overrides, faults


def _flat(values: Mapping[str, Any], above: Key) -> Iterator[tuple[Key, Any]]:
    for name, value in values.items():
        key = (*above, str(name))
        if isinstance(value, Mapping) and value:
            yield from _flat(value, key)
        else:
            yield key, _plain(value)


def _plain(value: Any) -> Any:
    """A Python value as YAML would have given it."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value


def lay_overrides(tree: Tree, overrides: Iterable[Override]) -> list[str]:
    """Lay overrides over a recipe, in order; returns the faults of keys that lead nowhere."""
    faults = []
    for override in overrides:
        try:
            key = _full_key(tree, override.typed)
        except UnknownNameError as error:
            faults.append(str(error))
            continue
        values: Any = override.value
        for name in reversed(key):
            values = {name: values}
        tree.lay(values, lambda _: COMMAND_LINE)
    return faults


def _full_key(tree: Tree, typed: str) -> Key:
    """`tokenizer.clusters` is an option of a slot, `train-lm.steps` one of a stage."""
    first, *rest = typed.split(".")
    slots, stages = _names(tree, "parts"), _names(tree, "stages")
    where = f"{COMMAND_LINE.place}: key '{typed}'"
    if first in PLAIN:
        return (first, *rest)
    if first in slots:
        return ("parts", first, *rest)
    if first in stages:
        return ("stages", first, *rest)
    raise UnknownNameError("slot or stage", first, [*slots, *stages, *PLAIN], where)


def _names(tree: Tree, section: str) -> list[str]:
    entries = tree.values.get(section)
    return list(entries) if isinstance(entries, dict) else []
