"""Sound files into codes that are kept, what is there already left as it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

from slmkit.api import AudioError, CodeSpec, Progress, Tokenizer, Utterance
from slmkit.data.archive import SUFFIX, CodeArchive
from slmkit.data.audio import probe
from slmkit.data.content import ContentHashes
from slmkit.data.shards import StoredCodes
from slmkit.data.store import HEADER, TokenStore

MEMORY = "_sources"
"""The folder in a store that remembers the hashes of sound files."""

BATCH_S = 60.0
"""Seconds of sound in a batch, padding included."""

SOONEST_S, LATEST_S, SHARE = 2.0, 300.0, 0.1
"""Rows are written when so much time has passed, or this share of the time up to now: a kill costs
little of a long extraction, and its shards are few."""


class Writer(Protocol):
    """Takes rows."""

    def add(self, row: StoredCodes) -> None:
        """Append a row."""

    def flush(self) -> None:
        """Write what was added."""


class Shelf(Protocol):
    """Where codes are kept: a `TokenStore` or a `CodeArchive`."""

    def sources(self) -> dict[str, str | None]:
        """The hash of the sound of each row, by id."""

    def drop(self, ids: Collection[str]) -> None:
        """Take rows out."""

    def writer(self) -> AbstractContextManager[Writer]:
        """Append rows."""


@dataclass
class Extracted:
    """What became of an extraction.

    Attributes:
        known: utterances that were there already.
        coded: those that were added.
        faults: why others could not be coded, by id.
        sound_s, seconds: how much sound was coded, and in which time.
    """

    known: int = 0
    coded: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    sound_s: float = 0.0
    seconds: float = 0.0

    @property
    def speed(self) -> float:
        """Hours of sound in an hour."""
        return self.sound_s / max(self.seconds, 1e-9)


def extract(
    utterances: Sequence[Utterance],
    output: Path,
    make: Callable[[], Tokenizer],
    fingerprint: str,
    made_by: Mapping[str, Any],
    progress: Progress,
    jobs: int = 1,
    stop: bool = False,
) -> Extracted:
    """Code utterances into `output`, an `.npz` file or the folder of a token store.

    What `output` holds of the same sound stays; a sound that changed is coded anew. The tokenizer
    is made (in every process, see `slmkit.data.jobs`) only if something is left to do. What cannot
    be coded is noted in the result, or with `stop` raises AudioError. Raises DataError where
    `output` holds another tokenizer's codes, by its `fingerprint`; `made_by` says to whoever
    decodes them what made them.
    """
    shelf = _shelf_there(output, fingerprint)
    hashes = ContentHashes(None if output.suffix == SUFFIX else output / MEMORY)
    kept = {} if shelf is None else shelf.sources()
    now = _sources([u for u in utterances if u.id in kept], hashes)
    left = [u for u in utterances if not _is_kept(u.id, kept, now)]
    result = Extracted(known=len(utterances) - len(left))
    lengths = _lengths(left, result, stop)
    left = [u for u in left if u.id in lengths]
    if not left:
        return result
    from slmkit.data.coding import batches
    from slmkit.data.jobs import coders

    with coders(make, jobs) as coder:
        clock = _Clock()
        outcomes = coder((b, _sources(b, hashes)) for b in batches(left, BATCH_S, lengths))
        # a tokenizer that cannot code at all leaves no store behind
        first = next(outcomes)
        shelf = shelf or _shelf(output, coder.spec, fingerprint, made_by)
        if outdated := kept.keys() & {u.id for u in left}:
            shelf.drop(outdated)
        with shelf.writer() as writer:
            for rows, faults in chain([first], outcomes):
                for row in rows:
                    writer.add(row)
                result.coded += len(rows)
                result.sound_s += sum(lengths[row.id] for row in rows)
                result.seconds = clock.now()
                _note(result, faults, stop)
                if clock.is_due():
                    writer.flush()
                done = result.known + result.coded + len(result.faults)
                progress(done, text=f"{result.speed:.0f} hours of audio per hour")
    return result


def _shelf_there(output: Path, fingerprint: str) -> TokenStore | CodeArchive | None:
    if output.suffix == SUFFIX:
        return CodeArchive.open(output, None, fingerprint) if output.exists() else None
    return TokenStore.open(output, None, fingerprint) if (output / HEADER).exists() else None


def _shelf(
    output: Path, spec: CodeSpec, fingerprint: str, made_by: Mapping[str, Any]
) -> TokenStore | CodeArchive:
    if output.suffix == SUFFIX:
        return CodeArchive.create(output, spec, fingerprint, made_by)
    return TokenStore.create(output, spec, fingerprint, made_by)


def _sources(utterances: Iterable[Utterance], hashes: ContentHashes) -> dict[str, str]:
    """The hash of each sound by id: of the file, and where that is not all the part of it."""
    utterances = list(utterances)
    files = hashes.of(u.audio for u in utterances if u.audio is not None)
    found = {}
    for utterance in utterances:
        if utterance.audio in files:
            part = (utterance.start, utterance.duration, utterance.extra.get("channel"))
            whole = part == (0.0, None, None)
            found[utterance.id] = files[utterance.audio] + ("" if whole else f":{part}")
    return found


def _is_kept(id: str, kept: Mapping[str, str | None], sources: Mapping[str, str]) -> bool:
    # rows of a store that a recipe made name no sound, and are taken as they are
    return id in kept and id in sources and kept[id] in (None, sources[id])


def _lengths(left: Sequence[Utterance], result: Extracted, stop: bool) -> dict[str, float]:
    """The seconds of each utterance whose file can be opened; the others are noted."""
    found: dict[str, float] = {}
    for utterance in left:
        try:
            assert utterance.audio is not None
            whole = probe(utterance.audio).duration
            found[utterance.id] = utterance.duration or whole - utterance.start
        except AudioError as error:
            _note(result, {utterance.id: error}, stop)
    return found


def _note(result: Extracted, faults: Mapping[str, AudioError], stop: bool) -> None:
    for id, fault in faults.items():
        if stop:
            raise AudioError(f"utterance '{id}': {fault}") from fault
        result.faults[id] = str(fault)


class _Clock:
    """Says when what was made is due to be written."""

    def __init__(self) -> None:
        self.started = self.written = time.monotonic()

    def now(self) -> float:
        return time.monotonic() - self.started

    def is_due(self) -> bool:
        pause = min(LATEST_S, max(SOONEST_S, SHARE * self.now()))
        due = time.monotonic() - self.written >= pause
        if due:
            self.written = time.monotonic()
        return due
