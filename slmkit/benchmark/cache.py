"""Results that are kept by what they hang on, and never measured twice. Imports no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from slmkit.api import DataError
from slmkit.data.atomic import write_atomically
from slmkit.data.content import hash_json

FOLDER = "cache"


@dataclass(frozen=True)
class Outcome:
    """What became of a piece of work.

    Attributes:
        found: what it measured, as plain JSON; nothing where it failed.
        reason: why it failed, or why there is nothing to measure.
        failed: whether something is wrong. A tokenizer without a decoder, and data without
            speakers, are not.
        seconds: of work.
    """

    found: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    failed: bool = False
    seconds: float = 0.0


class Cache:
    """Outcomes in a folder, by the hash of everything that they hang on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER

    def file(self, name: str, made_of: Any) -> Path:
        """Where an outcome lies; `name` is for people."""
        plain = name.replace("/", "-").replace(":", "-")
        return self.folder / f"{plain}-{hash_json(made_of)}.json"

    def work(self, name: str, made_of: Any) -> Path:
        """A folder for what is unfinished, where a broken piece of work goes on."""
        return self.file(name, made_of).with_suffix("")


def read_outcome(file: Path) -> Outcome | None:
    """The outcome in a file, or None where there is none. Raises DataError for a broken file."""
    try:
        return Outcome(**json.loads(file.read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise DataError(f"{file}: no result of the benchmark ({error}): delete it") from None


def write_outcome(file: Path, outcome: Outcome) -> None:
    """Keep an outcome, whole or not at all."""
    write_atomically(file, (json.dumps(asdict(outcome), allow_nan=False) + "\n").encode())
