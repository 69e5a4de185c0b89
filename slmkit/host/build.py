"""From a declaration to a part: checked options, built, saved, and restored."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slmkit.api import DataError, OptionsError, Savable, UnknownNameError
from slmkit.host.registry import Shelved, host

PART_FILE = "part.json"


def make_options(shelved: Shelved, values: Mapping[str, Any]) -> Any:
    """The part's options dataclass, filled and type-checked by OmegaConf. Raises OptionsError."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    options = shelved.declaration.options
    where = f"{shelved.kind} '{shelved.name}'"
    names = {f.name for f in dataclasses.fields(options)}
    faults = [str(UnknownNameError("option", k, names, where)) for k in values if k not in names]
    merged = OmegaConf.structured(options)
    for name in names & set(values):
        try:
            merged = OmegaConf.merge(merged, {name: values[name]})
        except OmegaConfBaseException as error:
            faults.append(f"{where}: option '{name}': {str(error).splitlines()[0]}")
    if not faults:
        missing = sorted(str(name) for name in OmegaConf.missing_keys(merged))
        faults += [f"{where}: option '{name}' must be given" for name in missing]
    if faults:
        raise OptionsError(faults)
    return OmegaConf.to_object(merged)


def build(kind: str, name: str, values: Mapping[str, Any] | None = None, **given: Any) -> Any:
    """Build a part by kind, name and option values, for notebooks and tests.

    >>> tokenizer = build("tokenizer", "mel-km", {"clusters": 100})
    """
    shelved = host().find(kind, name)
    return shelved.load()(make_options(shelved, values or {}), **given)


def save_part(
    part: Savable, folder: Path, shelved: Shelved, options: Any, given: Mapping[str, Any]
) -> None:
    """Save a fitted part with what it takes to build it again. `given` must be JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    part.save(folder)
    record = {
        "kind": shelved.kind,
        "name": shelved.name,
        "options": dataclasses.asdict(options),
        "given": dict(given),
        "revision": shelved.declaration.revision,
        "distribution": shelved.distribution,
        "version": shelved.version,
    }
    (folder / PART_FILE).write_text(json.dumps(record, indent=1, default=str) + "\n")


def load_part(folder: Path) -> Any:
    """The inverse of `save_part`. Raises DataError where the folder holds no part."""
    from slmkit.api import CodeSpec

    try:
        record = json.loads((folder / PART_FILE).read_text())
    except FileNotFoundError:
        raise DataError(f"{folder}: no saved part here ({PART_FILE} is missing)") from None
    given = dict(record["given"])
    if isinstance(given.get("spec"), dict):
        given["spec"] = CodeSpec.from_dict(given["spec"])
    part = build(record["kind"], record["name"], record["options"], **given)
    part.restore(folder)
    return part
