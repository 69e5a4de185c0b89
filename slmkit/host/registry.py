"""The shelves: parts by kind and name, found through the entry-point group `slmkit`."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy

from slmkit.api import (
    CONTRACT_OF_KIND,
    HOOK_OF_KIND,
    BrokenPluginError,
    Declaration,
    MissingDependencyError,
    SlmkitError,
    UnknownNameError,
    hooks,
)

GROUP = "slmkit"
BUILT_IN_PREFIX = "slmkit_"


@dataclass(frozen=True)
class Shelved:
    """A part on a shelf and where it comes from."""

    kind: str
    declaration: Declaration
    plugin: str
    distribution: str
    version: str

    @property
    def name(self) -> str:
        return self.declaration.name

    @property
    def missing(self) -> tuple[str, ...]:
        """Packages that it needs and that are not installed."""
        return tuple(m for m in self.declaration.requires if importlib.util.find_spec(m) is None)

    @property
    def mend(self) -> str:
        """The command that installs what is missing, or nothing."""
        if not self.missing:
            return ""
        extra = self.declaration.extra
        if extra is None:
            return f"pip install {' '.join(self.missing)}"
        return f"pip install '{self.distribution}[{extra}]'"

    def load(self) -> Any:
        """Import the part's class (or a stage's function) and hold it to its contract."""
        if self.missing:
            raise MissingDependencyError(
                f"{self.kind} '{self.name}' needs {', '.join(self.missing)}: {self.mend}"
            )
        module_name, _, attribute = self.declaration.target.partition(":")
        try:
            target = getattr(importlib.import_module(module_name), attribute)
        except (ImportError, AttributeError) as error:
            raise BrokenPluginError(
                f"{self.kind} '{self.name}' of {self.distribution} cannot be loaded from "
                f"'{self.declaration.target}': {error}"
            ) from error
        contract = CONTRACT_OF_KIND.get(self.kind)
        if contract is not None and not (isinstance(target, type) and issubclass(target, contract)):
            raise BrokenPluginError(
                f"{self.kind} '{self.name}' of {self.distribution}: {self.declaration.target} "
                f"is not a slmkit.api.{contract.__name__}"
            )
        left = sorted(getattr(target, "__abstractmethods__", ()))
        if left:
            raise BrokenPluginError(
                f"{self.kind} '{self.name}' of {self.distribution} lacks {', '.join(left)}"
            )
        return target


@dataclass(frozen=True)
class Broken:
    """A plugin that is installed and offers nothing, and why."""

    plugin: str
    distribution: str
    reason: str


class Host:
    """Finds plugins, each on its own, so that a broken one takes only itself off the shelves."""

    def __init__(self, points: list[EntryPoint]) -> None:
        self.broken: list[Broken] = []
        self._shelves: dict[str, dict[str, list[Shelved]]] = {kind: {} for kind in HOOK_OF_KIND}
        for point in sorted(points, key=lambda p: (distribution_of(p), p.name)):
            try:
                for part in parts_of(point):
                    self._shelves[part.kind].setdefault(part.name, []).append(part)
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                self.broken.append(Broken(point.name, distribution_of(point), reason))

    def parts(self, kind: str | None = None) -> Iterator[Shelved]:
        """Every part, or those of one kind, by kind and name."""
        kinds = list(self._shelves) if kind is None else [self._check_kind(kind)]
        for each in kinds:
            for name in sorted(self._shelves[each]):
                yield from self._shelves[each][name]

    def find(self, kind: str, name: str, where: str = "") -> Shelved:
        """The part of that kind and name. Raises UnknownNameError, or BrokenPluginError when two
        packages offer it."""
        shelf = self._shelves[self._check_kind(kind)]
        found = shelf.get(name, [])
        if len(found) == 1:
            return found[0]
        if found:
            owners = " and ".join(part.distribution for part in found)
            raise BrokenPluginError(
                f"two packages offer the {kind} '{name}': {owners}; uninstall one, or name the "
                f"plugins you want in SLMKIT_PLUGINS"
            )
        error = UnknownNameError(kind, name, shelf, where)
        if self.broken and not error.near:
            names = ", ".join(b.plugin for b in self.broken)
            raise SlmkitError(f"{error} (broken plugins, see 'slmkit doctor': {names})")
        raise error

    def _check_kind(self, kind: str) -> str:
        if kind not in self._shelves:
            raise UnknownNameError("kind of part", kind, self._shelves)
        return kind


def parts_of(point: EntryPoint) -> list[Shelved]:
    """Import one plugin and ask it for its parts."""
    distribution = distribution_of(point)
    module = point.load()
    if point.value.split(".")[0].startswith(BUILT_IN_PREFIX) and distribution != "slmkit":
        raise BrokenPluginError(
            f"import names that begin with '{BUILT_IN_PREFIX}' are reserved for slmkit's own parts"
        )
    manager = pluggy.PluginManager("slmkit")
    manager.add_hookspecs(hooks)
    manager.register(module, name=point.name)
    unknown = [n for n in vars(module) if n.startswith("slmkit_") and _is_hookimpl(module, n)]
    unknown = [name for name in unknown if not hasattr(hooks, name)]
    if unknown:
        raise UnknownNameError("hook", unknown[0], HOOK_OF_KIND.values())
    manager.check_pending()
    version = point.dist.version if point.dist is not None else "?"
    found = []
    for kind, hook in HOOK_OF_KIND.items():
        for declarations in getattr(manager.hook, hook)():
            for declaration in declarations:
                if not isinstance(declaration, Declaration):
                    raise BrokenPluginError(f"{hook} gave {declaration!r}, not a Declaration")
                found.append(Shelved(kind, declaration, point.name, distribution, version))
    return found


def _is_hookimpl(module: Any, name: str) -> bool:
    return hasattr(getattr(module, name), "slmkit_impl")


def distribution_of(point: EntryPoint) -> str:
    """The name of the distribution that an entry point belongs to."""
    return point.dist.name if point.dist is not None else "?"


@cache
def host() -> Host:
    """The plugins of this process; `SLMKIT_PLUGINS` (names by comma, or empty) narrows them."""
    points = list(entry_points(group=GROUP))
    wanted = os.environ.get("SLMKIT_PLUGINS")
    if wanted is not None:
        names = {name.strip() for name in wanted.split(",")}
        points = [point for point in points if point.name in names]
    return Host(points)
