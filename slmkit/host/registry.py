"""The shelves: parts by kind and name, found through the entry-point group `slmkit`."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, EntryPoint, entry_points
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
from slmkit.host.versions import check_made_for

GROUP = "slmkit"
BUILT_IN_PREFIX = "slmkit_"
OWN_DISTRIBUTION = "slmkit"
SWITCH = "SLMKIT_PLUGINS"
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
TARGET = re.compile(r"[\w.]+:\w+")


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
        """The name under which recipes ask for it."""
        return self.declaration.name

    @property
    def missing(self) -> tuple[str, ...]:
        """Packages that it needs and that are not installed."""
        return tuple(m for m in self.declaration.requires if not _installed(m))

    @property
    def mend(self) -> str:
        """The command that installs what is missing, or nothing."""
        missing = self.missing
        if not missing:
            return ""
        if self.declaration.mend is not None:
            return self.declaration.mend
        extra = self.declaration.extra
        if extra is None:
            return f"pip install {' '.join(missing)}"
        return f"pip install '{self.distribution}[{extra}]'"

    def load(self) -> Any:
        """Import the part's class (or a stage's function) and hold it to its contract.

        Raises MissingDependencyError, or BrokenPluginError for whatever else is wrong with it.
        """
        if self.missing:
            raise MissingDependencyError(
                f"{self.kind} '{self.name}' needs {', '.join(self.missing)}: {self.mend}"
            )
        module_name, _, attribute = self.declaration.target.partition(":")
        try:
            target = getattr(importlib.import_module(module_name), attribute)
        except Exception as error:
            # a stranger's module may raise anything, from a SyntaxError to a library's OSError
            raise BrokenPluginError(
                f"{self.kind} '{self.name}' of {self.distribution} cannot be loaded from "
                f"'{self.declaration.target}': {_one_line(error)}"
            ) from error
        self._hold_to_contract(target)
        return target

    def _hold_to_contract(self, target: Any) -> None:
        where = f"{self.kind} '{self.name}' of {self.distribution}"
        contract = CONTRACT_OF_KIND.get(self.kind)
        if contract is None:
            if not callable(target):
                raise BrokenPluginError(f"{where}: {self.declaration.target} is not a function")
            return
        if not (isinstance(target, type) and issubclass(target, contract)):
            raise BrokenPluginError(
                f"{where}: {self.declaration.target} is not a slmkit.api.{contract.__name__}"
            )
        if left := sorted(getattr(target, "__abstractmethods__", ())):
            raise BrokenPluginError(f"{where}: {self.declaration.target} lacks {', '.join(left)}")


@dataclass(frozen=True)
class Broken:
    """A plugin that is installed and offers nothing, and why, in one line."""

    plugin: str
    distribution: str
    reason: str


class Host:
    """Finds plugins, each on its own, so that a broken one takes only itself off the shelves."""

    def __init__(self, points: Iterable[EntryPoint]) -> None:
        self.broken: list[Broken] = []
        self._shelves: dict[str, dict[str, list[Shelved]]] = {kind: {} for kind in HOOK_OF_KIND}
        for point in sorted(points, key=lambda p: (distribution_of(p), p.name)):
            try:
                parts = parts_of(point)
            except (Exception, SystemExit) as error:
                # importing a stranger's module may even ask the program to end
                reason = _one_line(error)
                self.broken.append(Broken(point.name, distribution_of(point), reason))
                continue
            for part in parts:
                self._shelves[part.kind].setdefault(part.name, []).append(part)

    def parts(self, kind: str | None = None) -> Iterator[Shelved]:
        """Every part, or those of one kind, by kind and name."""
        kinds = list(self._shelves) if kind is None else [self._check_kind(kind)]
        for each in kinds:
            for name in sorted(self._shelves[each]):
                yield from self._shelves[each][name]

    def named(self, name: str) -> list[Shelved]:
        """The parts of that name, of every kind. Raises UnknownNameError if there is none."""
        found = [part for part in self.parts() if part.name == name]
        if not found:
            raise self._unknown("part", name, {part.name for part in self.parts()})
        return found

    def find(self, kind: str, name: str, where: str = "") -> Shelved:
        """The part of that kind and name.

        Raises UnknownNameError, or BrokenPluginError when two plugins offer it.
        """
        shelf = self._shelves[self._check_kind(kind)]
        found = shelf.get(name, [])
        if not found:
            raise self._unknown(kind, name, shelf, where)
        if len(found) > 1:
            owners = " and ".join(f"{part.distribution} ({part.plugin})" for part in found)
            raise BrokenPluginError(
                f"two plugins offer the {kind} '{name}': {owners}; uninstall one, or name in "
                f"{SWITCH} the plugins or distributions that you want"
            )
        return found[0]

    def rivals(self, part: Shelved) -> list[Shelved]:
        """Other plugins' parts of the same kind and name; while there are any, none can be used."""
        return [other for other in self._shelves[part.kind][part.name] if other is not part]

    def _unknown(self, what: str, name: str, known: Iterable[str], where: str = "") -> SlmkitError:
        error = UnknownNameError(what, name, known, where)
        if self.broken and not error.near:
            names = ", ".join(b.plugin for b in self.broken)
            return SlmkitError(f"{error} (broken plugins, see 'slmkit doctor': {names})")
        return error

    def _check_kind(self, kind: str) -> str:
        if kind not in self._shelves:
            raise UnknownNameError("kind of part", kind, self._shelves)
        return kind


def parts_of(point: EntryPoint) -> list[Shelved]:
    """Import one plugin and ask it for its parts. Raises whatever is wrong with it."""
    distribution = distribution_of(point)
    if point.value.startswith(BUILT_IN_PREFIX) and distribution != OWN_DISTRIBUTION:
        raise BrokenPluginError(
            f"import names that begin with '{BUILT_IN_PREFIX}' are reserved for slmkit's own parts"
        )
    if point.dist is not None and distribution != OWN_DISTRIBUTION:
        check_made_for(distribution, point.dist.requires or ())
    module = point.load()
    _check_names(module)
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hooks)
    manager.register(module, name=point.name)
    manager.check_pending()
    version = "?" if point.dist is None else _name_and_version(point.dist)[1]
    return [
        Shelved(kind, declaration, point.name, distribution, version)
        for kind, hook in HOOK_OF_KIND.items()
        for declaration in _declarations(hook, getattr(manager.hook, hook)())
    ]


def _check_names(module: Any) -> None:
    """Refuse hooks that would never be called: misspelt ones, and those that are not marked."""
    for name, value in vars(module).items():
        if not name.startswith(BUILT_IN_PREFIX) or not inspect.isfunction(value):
            continue
        marked = hasattr(value, "slmkit_impl")
        if marked and name not in HOOK_OF_KIND.values():
            raise UnknownNameError("hook", name, HOOK_OF_KIND.values())
        if not marked and value.__module__ == module.__name__:
            raise BrokenPluginError(f"{name} is not marked with @slmkit.api.hookimpl")


def _declarations(hook: str, answers: list[Any]) -> list[Declaration]:
    """The answer of a plugin's one hook, checked as far as it goes without importing a part."""
    found: dict[str, Declaration] = {}
    for answer in answers:
        if not isinstance(answer, list | tuple):
            raise BrokenPluginError(f"{hook} gave {answer!r}, not a list of declarations")
        for declaration in answer:
            if not isinstance(declaration, Declaration):
                raise BrokenPluginError(f"{hook} gave {declaration!r}, not a Declaration")
            if fault := _fault(declaration):
                raise BrokenPluginError(f"{hook}: '{declaration.name}': {fault}")
            if declaration.name in found:
                raise BrokenPluginError(f"{hook}: '{declaration.name}' is declared twice")
            found[declaration.name] = declaration
    return list(found.values())


def _fault(declaration: Declaration) -> str:
    if not NAME.fullmatch(str(declaration.name)):
        return "a name is lower case letters and digits, with dashes between words"
    if not TARGET.fullmatch(str(declaration.target)):
        return f"its target '{declaration.target}' is not 'module:name'"
    options = declaration.options
    if not (isinstance(options, type) and dataclasses.is_dataclass(options)):
        return f"its options {options!r} are not a dataclass"
    return ""


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        # the parent of a dotted name is missing, or a module stands there without a spec
        return False


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def distribution_of(point: EntryPoint) -> str:
    """The name of the distribution that an entry point belongs to."""
    return "?" if point.dist is None else _name_and_version(point.dist)[0]


@cache
def _name_and_version(distribution: Distribution) -> tuple[str, str]:
    """Kept, because a distribution reads its whole metadata anew each time that it is asked."""
    metadata = distribution.metadata
    return metadata["Name"], metadata["Version"]


def wanted(points: Iterable[EntryPoint], names: str) -> list[EntryPoint]:
    """The plugins that a list names, by their own names or their distributions', by comma.

    Raises UnknownNameError for a name that nothing answers to.
    """
    points = list(points)
    asked = {name.strip() for name in names.split(",") if name.strip()}
    known = {name for point in points for name in (point.name, distribution_of(point))}
    for name in sorted(asked - known):
        raise UnknownNameError("plugin", name, known, SWITCH)
    return [point for point in points if {point.name, distribution_of(point)} & asked]


@cache
def host() -> Host:
    """The plugins of this process; `SLMKIT_PLUGINS` (names by comma, or empty) narrows them."""
    points = entry_points(group=GROUP)
    names = os.environ.get(SWITCH)
    return Host(points if names is None else wanted(points, names))
