"""One numbering for text pieces, special tokens and codes.

Ids are laid out in sections, one after another, in the order in which a model learnt of them:
SpeechGPT's is text (LLaMA's 32,000), units, `<sosp> <eosp>`, then the words of its dialogue. A
model that grows appends a section, so that its old rows keep their meaning.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slmkit.api import TextTokenizer, VocabularyError

START_OF_SPEECH = "<sosp>"
END_OF_SPEECH = "<eosp>"
NO_TEXT = "<pad>"
"""Stands in a stream of text beside speech at frames to which no text belongs."""


@dataclass(frozen=True)
class Section:
    """A run of ids: text pieces, special tokens, or the codes of one codebook.

    Attributes:
        kind: "text", "special" or "codes".
        size: number of ids.
        names: of special tokens, as they are spelt in a template.
        codebook: of codes.
    """

    kind: str
    size: int
    names: tuple[str, ...] = ()
    codebook: int = 0

    @classmethod
    def special(cls, *names: str) -> Section:
        """Special tokens."""
        return cls("special", len(names), tuple(names))

    @classmethod
    def codes(cls, size: int, codebook: int = 0) -> Section:
        """The codes of one codebook."""
        return cls("codes", size, codebook=codebook)


class Vocabulary:
    """The sections of a model's ids, and the way between ids and what they stand for."""

    def __init__(self, text: TextTokenizer, sections: Sequence[Section] = ()) -> None:
        self.text = text
        self.sections = tuple(sections) or (Section("text", text.size),)
        if self.sections[0] != Section("text", text.size):
            raise VocabularyError(
                f"the vocabulary holds {self.sections[0].size} text ids, the text tokenizer "
                f"{text.size}: they were not made for each other"
            )
        self.size = sum(section.size for section in self.sections)
        self._specials: dict[str, int] = {}
        self._code_start: dict[int, int] = {}
        self._code_size: dict[int, int] = {}
        start = 0
        for section in self.sections:
            for offset, name in enumerate(section.names):
                if name in self._specials:
                    raise VocabularyError(f"special token '{name}' appears twice")
                self._specials[name] = start + offset
            if section.kind == "codes":
                if section.codebook in self._code_start:
                    raise VocabularyError(f"codebook {section.codebook} appears twice")
                self._code_start[section.codebook] = start
                self._code_size[section.codebook] = section.size
            start += section.size
        self._special_names = {index: name for name, index in self._specials.items()}
        longest_first = sorted(self._specials, key=len, reverse=True)
        self._split = re.compile("(" + "|".join(map(re.escape, longest_first)) + ")")

    @property
    def codebooks(self) -> int:
        """Number of codebooks that have ids."""
        return len(self._code_start)

    @property
    def hash(self) -> str:
        """Identifies the layout; kept in every checkpoint."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:16]

    def extend(self, *sections: Section) -> Vocabulary:
        """A larger vocabulary in which every id keeps its meaning."""
        return Vocabulary(self.text, self.sections + sections)

    def id_of(self, special: str) -> int:
        """The id of a special token. Raises VocabularyError."""
        try:
            return self._specials[special]
        except KeyError:
            known = ", ".join(self._specials) or "none"
            raise VocabularyError(f"no special token '{special}' (known: {known})") from None

    def __contains__(self, special: str) -> bool:
        return special in self._specials

    def is_special(self, index: int) -> bool:
        """Whether an id is a special token's."""
        return index in self._special_names

    def encode(self, text: str) -> list[int]:
        """Ids of a text in which special tokens may be spelt out."""
        if not self._specials:
            return self.text.encode(text)
        ids: list[int] = []
        for piece in self._split.split(text):
            if piece in self._specials:
                ids.append(self._specials[piece])
            elif piece:
                ids.extend(self.text.encode(piece))
        return ids

    def encode_codes(self, codes: np.ndarray) -> np.ndarray:
        """Codes [k, t] to ids [k, t]. Raises VocabularyError for codes out of range."""
        starts = [self._code_start.get(k) for k in range(codes.shape[0])]
        if None in starts:
            raise VocabularyError(
                f"{codes.shape[0]} codebooks of codes, but the vocabulary has {self.codebooks}"
            )
        sizes = np.array([self._code_size[k] for k in range(codes.shape[0])])[:, None]
        if codes.size and (codes.min() < 0 or (codes >= sizes).any()):
            raise VocabularyError(
                f"codes up to {codes.max()} do not fit codebooks of {sizes[:, 0].tolist()}"
            )
        return codes + np.array(starts, dtype=np.int64)[:, None]

    def code_range(self, codebook: int = 0) -> range:
        """The ids of a codebook."""
        start = self._code_start[codebook]
        return range(start, start + self._code_size[codebook])

    @cached_property
    def words(self) -> tuple[range, ...]:
        """The ids of text and special tokens."""
        starts = np.cumsum([0, *(section.size for section in self.sections)]).tolist()
        pairs = zip(self.sections, starts, strict=False)
        return tuple(range(at, at + s.size) for s, at in pairs if s.kind != "codes")

    @cached_property
    def written(self) -> tuple[range, ...]:
        """The ids that may stand in text: all words but those that belong into speech, and pieces
        of text only where they can be spelt out."""
        parts = list(self.words[0 if self.text.spells else 1 :])
        for name in (END_OF_SPEECH, NO_TEXT):
            at = self._specials.get(name)
            if at is not None:
                split = ((range(p.start, at), range(at + 1, p.stop)) if at in p else (p,)
                         for p in parts)  # fmt: skip
                parts = [part for pair in split for part in pair]
        return tuple(part for part in parts if part)

    def is_code(self, ids: Tensor) -> Tensor:
        """Which of some ids are codes of any codebook; bool, of the same shape."""
        found = torch.zeros_like(ids, dtype=torch.bool)
        for codebook in self._code_start:
            of = self.code_range(codebook)
            found |= (ids >= of.start) & (ids < of.stop)
        return found

    def decode(self, ids: Sequence[int]) -> str:
        """Ids spelt out: text, special tokens by name, units as `<12>`."""
        parts: list[str] = []
        run: list[int] = []
        for index in [*ids, -1]:
            if 0 <= index < self.text.size:
                run.append(int(index))
                continue
            if run:
                parts.append(self.text.decode(run))
                run = []
            if index >= 0:
                parts.append(self._spell(int(index)))
        return "".join(parts)

    def _spell(self, index: int) -> str:
        if index in self._special_names:
            return self._special_names[index]
        for codebook, start in self._code_start.items():
            if start <= index < start + self._code_size[codebook]:
                code = index - start
                return f"<{code}>" if self.codebooks == 1 else f"<{codebook}:{code}>"
        raise VocabularyError(f"id {index} lies outside the vocabulary of {self.size}")

    def to_dict(self) -> dict[str, Any]:
        """The layout as plain JSON values."""
        return {
            "sections": [
                {"kind": s.kind, "size": s.size, "names": list(s.names), "codebook": s.codebook}
                for s in self.sections
            ]
        }

    @classmethod
    def from_dict(cls, text: TextTokenizer, values: dict[str, Any]) -> Vocabulary:
        """The inverse of `to_dict`."""
        sections = [Section(s["kind"], s["size"], tuple(s["names"]), s["codebook"])
                    for s in values["sections"]]  # fmt: skip
        return cls(text, sections)
