"""The pieces that the benchmark of one tokenizer is made of, and what each hangs on.

A piece is a name, the settings that its outcome depends on, and a function that another process
calls. Imports no torch: whoever finds all pieces done need not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from slmkit.api import CodeSpec
from slmkit.benchmark.protocol import Protocol
from slmkit.data.books import books_of

WHOLE = "all"
REVISIONS = {
    "alignment": 1, "copies": 1, "originals": 1, "purity": 1, "abx": 1, "invariance": 1,
    "rates": 1, "cost": 1,
}  # fmt: skip
"""Raised when the same settings give another outcome."""

EFFORT = {"alignment": 10.0, "copies": 8.0, "originals": 2.0, "invariance": 4.0, "abx": 3.0}
"""How long a piece takes beside others (1), to guess the time that is left."""


@dataclass(frozen=True)
class Subject:
    """A tokenizer under measurement, as another process needs it: plain values only.

    Attributes:
        codes: the folder of its codes; `fingerprint` tells them from others.
        chosen: what builds it.
        decodes: whether it has a decoder.
        listeners: what builds the transcriber, the speaker encoder and the vocoder, where there is
            one; `judges` their names and fingerprints.
    """

    name: str
    fingerprint: str
    codes: Path
    chosen: Mapping[str, Any]
    data: Path
    data_hash: str
    subsets: Mapping[str, tuple[str, ...]]
    protocol: Protocol
    decodes: bool
    listeners: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    judges: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Piece:
    """A part of the work: its kind, the codebooks that it looks at, and of a training its seed."""

    kind: str
    selection: str = WHOLE
    books: tuple[int, ...] = ()
    seed: int = 0
    shuffled: bool = False

    @property
    def name(self) -> str:
        """For people, and for files."""
        ending = f"-{self.seed}{'-shuffled' if self.shuffled else ''}"
        training = ending if self.kind == "alignment" else ""
        return f"{self.kind}-{self.selection}{training}"

    @property
    def effort(self) -> float:
        """How long it takes beside others."""
        return EFFORT.get(self.kind, 1.0)


def pieces_of(subject: Subject, spec: CodeSpec) -> list[Piece]:
    """All there is to measure of a tokenizer with such codes."""
    protocol, found = subject.protocol, []
    for selection, books in selections_of(protocol.selections, spec.codebooks).items():
        found += [
            Piece("alignment", selection, books, seed, shuffled)
            for seed in protocol.seeds
            for shuffled in (False, True)
        ]
        # a vocoder speaks all of the codes or nothing
        if "vocoder" not in subject.listeners or len(books) == spec.codebooks:
            found.append(Piece("copies", selection, books))
        if len(books) == 1:
            found.append(Piece("purity", selection, books))
        found.append(Piece("abx", selection, books))
    return [*found, Piece("originals"), Piece("invariance"), Piece("rates"), Piece("cost")]


def selections_of(asked: list[str], codebooks: int) -> dict[str, tuple[int, ...]]:
    """Selections as they are of a tokenizer with so many codebooks, counted from 0.

    What reaches beyond the last one ends there: '1:8' of four codebooks is '1:4'. What is then
    empty, or there already, falls away.
    """
    found: dict[str, tuple[int, ...]] = {}
    for selection in asked:
        # of as many as can be named, so that none is refused
        books = tuple(book for book in books_of(selection, 10_000) if book < codebooks)
        if books and books not in found.values():
            found[spelt(books)] = books
    return found


def spelt(books: tuple[int, ...]) -> str:
    """Codebooks as a person names them: '1', '1:8', '1,3'."""
    if len(books) > 1 and books == tuple(range(books[0], books[-1] + 1)):
        return f"{books[0] + 1}:{books[-1] + 1}"
    return ",".join(str(book + 1) for book in books)


def made_of(piece: Piece, subject: Subject) -> Any:
    """Everything that the outcome of a piece hangs on."""
    protocol = asdict(subject.protocol)
    sections = {
        "alignment": ["alignment"], "copies": ["preservation"], "originals": ["preservation"],
        "purity": ["phones"], "abx": ["phones"], "invariance": ["invariance", "selections"],
        "rates": ["selections"], "cost": ["cost"],
    }  # fmt: skip
    heard_by = {
        "copies": list(subject.judges), "originals": ["transcriber"], "cost": ["vocoder"],
    }.get(piece.kind, [])  # fmt: skip
    return {
        "piece": asdict(piece),
        "revision": REVISIONS[piece.kind],
        "settings": {name: protocol[name] for name in sections[piece.kind]},
        "tokenizer": "" if piece.kind == "originals" else subject.fingerprint,
        "data": subject.data_hash,
        "listeners": {role: subject.judges[role][1] for role in heard_by if role in subject.judges},
    }
