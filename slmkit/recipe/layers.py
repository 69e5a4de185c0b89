"""Recipe, profile and command line laid over each other, with the origin of every value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from slmkit.recipe.document import Document, Key

SECTIONS = {"parts": "part", "stages": "stage"}
"""The sections of named entries, and the key by which an entry names its part."""

KEPT = {"parts": ("kind",), "stages": ("needs", "slots")}
"""What an entry keeps when a layer above puts another part in its place."""


@dataclass(frozen=True)
class Origin:
    """Where a value comes from.

    Attributes:
        place: FILE:LINE, or "on the command line"; faults begin with it.
        layer: "recipe", "profile NAME", "command line" or "default".
    """

    place: str
    layer: str

    def __str__(self) -> str:
        if self.layer == "recipe":
            return self.place
        if self.layer.startswith("profile"):
            return f"{self.layer}, {self.place}"
        return self.layer


Locate = Callable[[Key], Origin]
"""The origin of a key of a layer."""


@dataclass
class Tree:
    """The merged values and where each comes from.

    Attributes:
        values: dicts, lists and scalars.
        origins: of every key, of mappings too.
        removed: the entries that a layer took out, as they were: "needs" of a stage lead through
            it to what it needed.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Key, Origin] = field(default_factory=dict)
    removed: dict[Key, dict[str, Any]] = field(default_factory=dict)

    def origin(self, key: Key) -> Origin:
        """The origin of a key, or of the nearest one above it."""
        while key not in self.origins and key:
            key = key[:-1]
        return self.origins.get(key, Origin("", "default"))

    def lay(self, values: dict[str, Any], origin: Locate) -> None:
        """Lay a layer over what is there."""
        self._merge(self.values, values, (), origin)

    def _merge(
        self,
        below: dict[str, Any],
        above: dict[str, Any],
        key: Key,
        origin: Locate,
    ) -> None:
        for name, value in above.items():
            inner = (*key, name)
            if len(inner) == 2 and key[0] in SECTIONS:
                value = self._entry(below, name, value, key[0], inner)
                if value is None:
                    continue
            if isinstance(value, dict):
                if not isinstance(below.get(name), dict):
                    self._forget(inner)
                    below[name] = {}
                self.origins.setdefault(inner, origin(inner))
                self._merge(below[name], value, inner, origin)
            else:
                self._forget(inner)
                below[name] = value
                self.origins[inner] = origin(inner)

    def _entry(self, below: dict[str, Any], name: str, value: Any, section: str, key: Key) -> Any:
        """An entry of `parts` or `stages` as it is to be merged; None where it is taken out."""
        naming = SECTIONS[section]
        if isinstance(value, str):
            value = {naming: value}
        old = below.get(name)
        if value is None:
            if name in below:
                just_above = list(below)[: list(below).index(name)][-1:]
                self.removed[key] = {"needs": just_above, **(old if isinstance(old, dict) else {})}
                del below[name]
                self._forget(key)
            return None
        if isinstance(value, dict) and isinstance(old, dict):
            other = value.get(naming, old.get(naming)) != old.get(naming)
            for option in list(old) if other else []:
                if option not in KEPT[section]:
                    del old[option]
                    self._forget((*key, option))
        return value

    def _forget(self, key: Key) -> None:
        for known in [k for k in self.origins if k[: len(key)] == key]:
            del self.origins[known]


def recipe_layer(document: Document) -> tuple[dict[str, Any], Locate]:
    """The recipe itself, without its profiles."""
    values = {name: value for name, value in document.values.items() if name != "profiles"}
    return values, lambda key: Origin(document.place(key), "recipe")


def profile_layer(document: Document, profile: str) -> tuple[dict[str, Any], Locate]:
    """One profile of a recipe that has it."""
    values = document.values["profiles"][profile]
    above = ("profiles", profile)
    return values, lambda key: Origin(document.place((*above, *key)), f"profile {profile}")
