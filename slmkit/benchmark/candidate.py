"""The tokenizers that are measured, as a person names them. Imports no torch.

`mel-rvq`, `'mel-rvq codebooks=4'`, `'small=mel-rvq codebooks=4'`, `runs/speechtokenizer`: a part
with options, or one that a run left, and the name under which its row stands.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmkit.api import SlmkitError
from slmkit.data.content import content_hash, hash_json
from slmkit.recipe.chosen import OPTIONS, PART, Chosen, choose

NAMED = re.compile(r"([A-Za-z0-9][\w.-]*)=(.+)", re.DOTALL)


@dataclass(frozen=True)
class Candidate:
    """A tokenizer that is measured."""

    name: str
    chosen: Chosen

    @property
    def options(self) -> Mapping[str, Any]:
        """With which it is built."""
        saved = {"saved": self.chosen.folder.name} if self.chosen.folder is not None else {}
        return saved or dict(self.chosen.to_dict()[OPTIONS])

    @property
    def part(self) -> dict[str, Any]:
        """What builds it in another process."""
        return self.chosen.to_dict()

    def fingerprint(self, cache: Path) -> str:
        """Changes with whatever can change its codes."""
        return self.chosen.fingerprint(cache)


def candidates(given: Iterable[str]) -> list[Candidate]:
    """The tokenizers that a person names. Raises SlmkitError for two of one name, and as `choose`
    does."""
    found = [candidate(each) for each in given]
    for name, count in Counter(each.name for each in found).items():
        if count > 1:
            raise SlmkitError(
                f"{count} tokenizers would stand as '{name}': tell them apart, as in "
                f"-t 'one={name} KEY=VALUE' -t 'other={name}'"
            )
    if not found:
        raise SlmkitError("name a tokenizer: -t NAME ('slmkit list tokenizer'), or -t RUN")
    return found


def candidate(given: str) -> Candidate:
    """One of them."""
    words = [given] if Path(given).exists() else shlex.split(given)
    if not words:
        raise SlmkitError("-t '': name a tokenizer ('slmkit list tokenizer')")
    name, part = None, words[0]
    if (match := NAMED.fullmatch(words[0])) and not Path(words[0]).exists():
        name, part = match.groups()
    folder = Path(part)
    if folder.exists():
        chosen = choose("tokenizer", None, folder, words[1:])
        return Candidate(name or _plain(folder.absolute().name), chosen)
    return Candidate(name or part, choose("tokenizer", part, None, words[1:]))


def part_of(kind: str, slot: Mapping[str, Any]) -> Chosen:
    """A part that a protocol names as a slot of a recipe does. Raises as `choose`."""
    options = {name: value for name, value in slot.items() if name != PART}
    return Chosen.from_dict(kind, {PART: slot[PART], OPTIONS: options})


def chosen_part(kind: str, given: str) -> Chosen:
    """A part by name with options, or saved in a folder: 'whisper model=openai/whisper-tiny.en'."""
    words = [given] if Path(given).exists() else shlex.split(given)
    if not words:
        raise SlmkitError(f"name a {kind} ('slmkit list {kind}')")
    if Path(words[0]).exists():
        return choose(kind, None, Path(words[0]), words[1:])
    return choose(kind, words[0], None, words[1:])


def choice_of(part: Any, folder: Path | None) -> Chosen:
    """A part that a stage was given, as a person would have chosen it; `folder` is where a stage
    above left it, if one did."""
    return Chosen(part.origin.shelved, part.origin.options, folder)


def weights_hash(folder: Path | None, fingerprint: str, cache: Path) -> str:
    """Of a saved part's files, else of the fingerprint, which covers the files its options name."""
    return content_hash(folder, cache) if folder is not None else hash_json(fingerprint)


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)
