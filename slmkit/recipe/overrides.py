"""KEY=VALUE from the command line, or a mapping from Python, as layers of a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmkit.api import OptionsError, SlmkitError, UnknownNameError
from slmkit.host import default_options, host
from slmkit.recipe.document import Key, read_value
from slmkit.recipe.layers import KEPT, SECTIONS, Origin, Tree

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
        except SlmkitError as error:
            faults.append(str(error))
            continue
        values: Any = override.value
        for name in reversed(key):
            values = {name: values}
        tree.lay(values, lambda _: COMMAND_LINE)
    return faults


def _full_key(tree: Tree, typed: str) -> Key:
    """`tokenizer.clusters` is an option of a slot, `train-lm.steps` one of a stage.

    A name may be both; then the one that has the option is meant. Raises UnknownNameError, or
    OptionsError where both have it.
    """
    first, *rest = typed.split(".")
    if first in PLAIN:
        return (first, *rest)
    sections = [section for section in SECTIONS if first in _names(tree, section)]
    if not sections:
        known = [name for section in SECTIONS for name in _names(tree, section)]
        where = f"{COMMAND_LINE.place}: key '{typed}'"
        raise UnknownNameError("slot or stage", first, [*known, *PLAIN], where)
    if len(sections) > 1 and rest:
        takers = [section for section in sections if rest[0] in _known(tree, section, first)]
        if len(takers) > 1:
            full = " or ".join(f"{section}.{typed}" for section in takers)
            raise OptionsError(
                [f"{COMMAND_LINE.place}: key '{typed}': a slot and a stage have it; write {full}"]
            )
        sections = takers or sections
    return (sections[0], first, *rest)


def _known(tree: Tree, section: str, name: str) -> set[str]:
    """The keys that an entry of the recipe can hold, as far as its part is known."""
    entry = tree.values[section][name]
    naming = SECTIONS[section]
    words = {naming, *KEPT[section]}
    if not isinstance(entry, dict):
        return words
    kind = "stage" if section == "stages" else str(entry.get("kind", name))
    try:
        return words | set(default_options(host().find(kind, str(entry.get(naming)))))
    except SlmkitError:
        # a part that is not known is a fault that is told elsewhere
        return words


def _names(tree: Tree, section: str) -> list[str]:
    entries = tree.values.get(section)
    return list(entries) if isinstance(entries, dict) else []
