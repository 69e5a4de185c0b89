"""A part that a person picks outside a recipe: by name and options, or as a run left it.

Reading the choice imports no torch, so that a command with nothing to do ends at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmkit.api import DataError, OptionsError, SlmkitError
from slmkit.data.content import content_hash, hash_json
from slmkit.host import Shelved, build_part, check_options, host, is_part, load_part, make_options
from slmkit.recipe.folder import RUN_FILE
from slmkit.recipe.overrides import COMMAND_LINE, read_overrides
from slmkit.recipe.saved import load

PART, OPTIONS, SAVED = "part", "options", "saved"


@dataclass(frozen=True)
class Chosen:
    """A part that can be built: from the shelf with checked options, or from a saved folder.

    Attributes:
        kind: of the part.
        shelved, options: where it is built anew; else None.
        folder: where it lies saved; else None.
    """

    kind: str
    shelved: Shelved | None = None
    options: Any = None
    folder: Path | None = None

    def build(self, **given: Any) -> Any:
        """The part. `given` goes to its class beside the options; a saved part has its own."""
        if self.folder is not None:
            return load_part(self.folder)
        assert self.shelved is not None
        return build_part(self.shelved, self.options, **given)

    def fingerprint(self, cache: Path | None = None) -> str:
        """Changes with whatever can change its answers: options, files they name, revision.

        `cache` is a folder in which hashes of large files are remembered.
        """
        if self.folder is not None:
            return content_hash(self.folder, cache)
        assert self.shelved is not None
        values = dataclasses.asdict(self.options)
        files = {
            name: content_hash(value, cache)
            for name, value in values.items()
            if isinstance(value, str) and _is_there(value)
        }
        return f"{self.shelved.name}-" + hash_json(
            [self.shelved.distribution, self.shelved.declaration.revision, values | files]
        )

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON, for the header of a store; files are named from the root."""
        if self.folder is not None:
            return {SAVED: str(self.folder.absolute())}
        assert self.shelved is not None
        values = {
            name: str(Path(value).absolute())
            if isinstance(value, str) and _is_there(value)
            else value
            for name, value in dataclasses.asdict(self.options).items()
        }
        return {PART: self.shelved.name, OPTIONS: values}

    @classmethod
    def from_dict(cls, kind: str, values: Mapping[str, Any]) -> Chosen:
        """The inverse of `to_dict`. Raises what `choose` raises."""
        if SAVED in values:
            return choose(kind, None, Path(values[SAVED]))
        shelved = host().find(kind, values[PART])
        return cls(kind, shelved, make_options(shelved, values[OPTIONS]))


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
    values = list(values)
    if (name is None) == (saved is None):
        raise SlmkitError(
            f"give one {kind}: its name ('slmkit list {kind}'), or a run that has fitted one"
        )
    if saved is None:
        assert name is not None
        return _from_shelf(kind, name, values)
    if values:
        raise OptionsError(
            [f"{COMMAND_LINE.place}: '{v}': what {saved} holds has its options" for v in values]
        )
    if is_part(saved):
        return Chosen(kind, folder=saved)
    if not (saved / RUN_FILE).is_file():
        raise DataError(f"{saved}: neither the folder of a run nor of a saved {kind}")
    run = load(saved)
    if (folder := run.find(kind)) is not None:
        return Chosen(kind, folder=folder)
    entry = dict(run.recipe.get("parts", {}).get(kind) or {})
    if PART not in entry:
        raise DataError(f"{saved}: the recipe of this run has no {kind}")
    entry.pop("kind", None)
    shelved = host().find(kind, entry.pop(PART))
    return Chosen(kind, shelved, make_options(shelved, entry))


def _from_shelf(kind: str, name: str, values: list[str]) -> Chosen:
    shelved = host().find(kind, name)
    overrides, faults = read_overrides(values)
    options, wrong = check_options(shelved, {each.typed: each.value for each in overrides})
    for fault in wrong:
        key = f"key '{fault.name}': " if fault.name else f"{kind} '{name}': "
        faults.append(f"{COMMAND_LINE.place}: {key}{fault.problem}")
    if faults:
        raise OptionsError(faults)
    return Chosen(kind, shelved, options)


def _is_there(text: str) -> bool:
    """Whether a text names something on this disk; a lone name is a word."""
    try:
        return ("/" in text or "." in text) and Path(text).exists()
    except (OSError, ValueError):
        return False
