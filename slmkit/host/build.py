"""From a declaration to a part: built, saved, and restored."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slmkit.api import CodeSpec, DataError, Savable
from slmkit.host.options import inner_parts, make_options
from slmkit.host.registry import Shelved, host

PART_FILE = "part.json"


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a part was built from; it stands on every part that was built here, as `origin`.

    `given` are the arguments beside its options: JSON values or a `CodeSpec`.
    """

    shelved: Shelved
    options: Any
    given: Mapping[str, Any]


def build(kind: str, name: str, values: Mapping[str, Any] | None = None, **given: Any) -> Any:
    """Build a part by kind, name and option values, for notebooks and tests.

    >>> tokenizer = build("tokenizer", "mel-km", {"clusters": 100})
    """
    shelved = host().find(kind, name)
    return build_part(shelved, make_options(shelved, values or {}), **given)


def build_part(shelved: Shelved, options: Any, **given: Any) -> Any:
    """Build a part from the shelf with checked options, and first those that they hold."""
    inner = {name: build_part(*each) for name, each in inner_parts(options).items()}
    part = shelved.load()(options, **inner, **given)
    part.origin = Origin(shelved, options, given)
    return part


def save_part(
    part: Savable, folder: Path, shelved: Shelved, options: Any, given: Mapping[str, Any]
) -> None:
    """Save a fitted part with what it takes to build it again.

    The record is written last, so that a folder with a record is whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PART_FILE).unlink(missing_ok=True)
    part.save(folder)
    record = {
        "kind": shelved.kind,
        "name": shelved.name,
        "options": dataclasses.asdict(options),
        "given": {k: v.to_dict() if isinstance(v, CodeSpec) else v for k, v in given.items()},
        "revision": shelved.declaration.revision,
        "distribution": shelved.distribution,
        "version": shelved.version,
    }
    half_written = folder / (PART_FILE + ".tmp")
    half_written.write_text(json.dumps(record, indent=1) + "\n")
    os.replace(half_written, folder / PART_FILE)


def is_part(folder: Path) -> bool:
    """Whether a folder holds a whole saved part."""
    return (folder / PART_FILE).is_file()


def load_part(folder: Path) -> Any:
    """The inverse of `save_part`. Raises DataError where the folder holds no part."""
    record = part_record(folder)
    given = dict(record["given"])
    if isinstance(given.get("spec"), dict):
        given["spec"] = CodeSpec.from_dict(given["spec"])
    part = build(record["kind"], record["name"], record["options"], **given)
    part.restore(folder)
    return part


def part_record(folder: Path) -> dict[str, Any]:
    """What `save_part` noted: kind, name, options, given. Raises DataError where nothing is."""
    try:
        record: dict[str, Any] = json.loads((folder / PART_FILE).read_text())
    except FileNotFoundError:
        raise DataError(f"{folder}: no saved part here ({PART_FILE} is missing)") from None
    except ValueError as error:
        raise DataError(f"{folder / PART_FILE}: not a part's record: {error}") from None
    lacking = {"kind", "name", "options", "given"} - set(record if isinstance(record, dict) else ())
    if lacking:
        raise DataError(
            f"{folder / PART_FILE}: not a part's record: it lacks {', '.join(sorted(lacking))}"
        )
    return record
