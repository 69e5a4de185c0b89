"""A part that a person picks outside a recipe: by name and options, or as a run left it.

Reading the choice imports no torch, so that a command with nothing to do ends at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmkit.api import Can, DataError, OptionsError, SlmkitError
from slmkit.data.content import content_hash, hash_json
from slmkit.host import (
    Shelved,
    build_part,
    check_options,
    host,
    is_part,
    load_part,
    make_options,
    part_record,
)
from slmkit.recipe.folder import RUN_FILE
from slmkit.recipe.overrides import COMMAND_LINE, read_overrides
from slmkit.recipe.saved import load

PART, OPTIONS, SAVED = "part", "options", "saved"


@dataclass(frozen=True)
class Chosen:
    """A part that can be built: from the shelf with checked options, or as it lies in a folder."""

    shelved: Shelved
    options: Any
    folder: Path | None = None

    @property
    def name(self) -> str:
        """Of the part on its shelf."""
        return self.shelved.name

    @property
    def can(self) -> Can:
        """What it can do with its options."""
        return self.shelved.declaration.abilities(self.options)

    def build(self, **given: Any) -> Any:
        """The part. `given` goes to its class beside the options; a saved part has its own."""
        if self.folder is not None:
            return load_part(self.folder)
        return build_part(self.shelved, self.options, **given)

    def fingerprint(self, cache: Path | None = None) -> str:
        """Changes with whatever can change its answers: options, files they name, revision.

        `cache` is a folder in which hashes of large files are remembered.
        """
        if self.folder is not None:
            return content_hash(self.folder, cache)
        values = {
            name: content_hash(value, cache) if _is_there(value) else value
            for name, value in dataclasses.asdict(self.options).items()
        }
        declaration = self.shelved.declaration
        made_of = [self.shelved.distribution, declaration.revision, values]
        return f"{self.name}-{hash_json(made_of)}"

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, for the header of a store; files are named from the root."""
        if self.folder is not None:
            return {SAVED: str(self.folder.absolute())}
        values = {
            name: str(Path(value).absolute()) if _is_there(value) else value
            for name, value in dataclasses.asdict(self.options).items()
        }
        return {PART: self.name, OPTIONS: values}

    @classmethod
    def from_dict(cls, kind: str, known: Mapping[str, Any], values: Iterable[str] = ()) -> Chosen:
        """The inverse of `to_dict`, with options changed as `choose` does and raising the same."""
        if SAVED in known:
            return choose(kind, None, Path(known[SAVED]), values)
        return _from_shelf(kind, known[PART], known[OPTIONS], values)


def build_chosen(kind: str, values: Mapping[str, Any]) -> Any:
    """The part that `Chosen.to_dict` speaks of: a function that another process can be sent."""
    return Chosen.from_dict(kind, values).build()


def choose(
    kind: str, name: str | None, saved: Path | None = None, values: Iterable[str] = ()
) -> Chosen:
    """A part by name with options as KEY=VALUE, or from `saved`: a run, or a saved part's folder.

    Of a run it is the part in the slot that is called as its kind, as fitted there or, where it
    needed no fitting, as the recipe names it. Raises OptionsError with every fault,
    UnknownNameError, DataError where `saved` is neither.
    """
    if (name is None) == (saved is None):
        raise SlmkitError(
            f"give one {kind}: its name ('slmkit list {kind}'), or a run that has fitted one"
        )
    if saved is None:
        assert name is not None
        return _from_shelf(kind, name, {}, values)
    faults = [f"{COMMAND_LINE.place}: '{v}': what {saved} holds has its options" for v in values]
    if faults:
        raise OptionsError(faults)
    if is_part(saved):
        return _from_folder(kind, saved)
    if not (saved / RUN_FILE).is_file():
        raise DataError(f"{saved}: neither the folder of a run nor of a saved {kind}")
    run = load(saved)
    if (folder := run.find(kind)) is not None:
        return _from_folder(kind, folder)
    entry = dict(run.recipe.get("parts", {}).get(kind) or {})
    if PART not in entry:
        raise DataError(f"{saved}: the recipe of this run has no {kind}")
    entry.pop("kind", None)
    return _from_shelf(kind, entry.pop(PART), entry, ())


def _from_folder(kind: str, folder: Path) -> Chosen:
    record = part_record(folder)
    if record["kind"] != kind:
        raise DataError(f"{folder}: holds a {record['kind']}, not a {kind}")
    shelved = host().find(kind, record["name"])
    return Chosen(shelved, make_options(shelved, record["options"]), folder)


def _from_shelf(kind: str, name: str, known: Mapping[str, Any], values: Iterable[str]) -> Chosen:
    """`known` options, and those that a person typed over them."""
    shelved = host().find(kind, name)
    overrides, faults = read_overrides(values)
    typed = {each.typed: each.value for each in overrides}
    options, wrong = check_options(shelved, {**known, **typed})
    for fault in wrong:
        key = f"key '{fault.name}'" if fault.name in typed else f"{kind} '{name}' {fault.name}"
        faults.append(f"{COMMAND_LINE.place}: {key.strip()}: {fault.problem}")
    if faults:
        raise OptionsError(faults)
    return Chosen(shelved, options)


def _is_there(value: Any) -> bool:
    """Whether an option names something on this disk; a lone name is a word."""
    try:
        return isinstance(value, str) and ("/" in value or "." in value) and Path(value).exists()
    except (OSError, ValueError):
        return False
