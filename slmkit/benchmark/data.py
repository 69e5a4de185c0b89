"""The speech that tokenizers are measured on: chosen, written down, and hashed. Imports no torch.

Whatever the corpus, it is read once as a stream, and only what a protocol takes of it is kept.
"""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from slmkit.api import DataError, Progress, Utterance
from slmkit.benchmark.protocol import Data, Protocol, Subset
from slmkit.data.atomic import write_atomically
from slmkit.data.audio import probe
from slmkit.data.content import ContentHashes, content_hash, hash_json
from slmkit.data.manifest import load_manifest, stream_manifest, write_manifest
from slmkit.data.public import prepare_corpus
from slmkit.host import build, host

SUBSETS = ("train", "dev", "information", "test")
MANIFEST, CHOSEN, MEMORY = "manifest.jsonl", "chosen.json", "hashes"


@dataclass(frozen=True)
class Prepared:
    """The speech of a benchmark, in a folder of its own.

    Attributes:
        name: "mini", "librispeech", or of a manifest.
        hash: of what is heard, said, by whom, and in which subset.
        subsets: ids, in the order in which they were drawn: the first n of a subset are a fair
            sample of it.
    """

    name: str
    folder: Path
    hash: str
    subsets: Mapping[str, tuple[str, ...]]

    def utterances(self) -> dict[str, Utterance]:
        """All that was chosen, by id."""
        return {u.id: u for u in load_manifest(self.folder / MANIFEST, check_files=False)}


def prepare(
    protocol: Protocol, given: str, folder: Path, progress: Progress, root: Path | None = None
) -> Prepared:
    """Choose the speech of a protocol, once: from what the protocol names, or from a manifest.

    `given` is the name of the protocol or the path of a manifest; `root` the folder of a public
    corpus. Raises DataError for a corpus that has nothing to measure on.
    """
    source = Path(given) if given != protocol.name else None
    identity = [asdict(protocol.data), _identity(protocol, source, root)]
    place = (
        folder / f"{protocol.name if source is None else source.stem}-{hash_json(identity)[:12]}"
    )
    if not (place / CHOSEN).exists():
        stream = _stream(protocol.data, source, root, place, progress)
        _choose(protocol.data, stream, place)
    chosen = json.loads((place / CHOSEN).read_text())
    subsets = {name: tuple(ids) for name, ids in chosen.items()}
    name = protocol.name if source is None else source.stem
    return Prepared(name, place, _hash(place, subsets), subsets)


def _identity(protocol: Protocol, source: Path | None, root: Path | None) -> Any:
    """What tells one source of speech from another, without reading its sound."""
    if source is not None:
        if not source.is_file():
            raise DataError(f"{source}: no such manifest, and no protocol is called so")
        return content_hash(source)
    if protocol.data.public is not None:
        if root is None:
            raise DataError(
                f"protocol '{protocol.name}' needs the corpus '{protocol.data.public}': give the "
                f"folder in which it is unpacked with --root"
            )
        return [protocol.data.public, str(root.absolute())]
    corpus = dict(protocol.data.corpus or {})
    return [corpus, host().find("corpus", str(corpus.get("part"))).declaration.revision]


def _stream(
    data: Data, source: Path | None, root: Path | None, place: Path, progress: Progress
) -> Iterator[Utterance]:
    if source is not None:
        yield from stream_manifest(source)
    elif data.public is not None:
        assert root is not None
        yield from stream_manifest(prepare_corpus(data.public, root, place / "public").manifest)
    else:
        options = dict(data.corpus or {})
        corpus = build("corpus", options.pop("part"), options)
        yield from corpus.utterances(place / "audio", progress)


def _choose(data: Data, utterances: Iterable[Utterance], place: Path) -> None:
    """Draw the subsets in one pass, and write them down, the list of ids last."""
    drawn = {name: _Draw(getattr(data, name)) for name in SUBSETS}
    seen = 0
    for utterance in utterances:
        seen += 1
        for draw in drawn.values():
            draw.offer(utterance)
    if not drawn["test"].kept:
        raise DataError(
            f"none of {seen} utterances is of the split '{data.test.split}' that is measured on, "
            f"with sound of {data.test.shortest_s:g} to {data.test.longest_s:g} s"
        )
    chosen = {name: draw.chosen() for name, draw in drawn.items()}
    union = {u.id: u for some in chosen.values() for u in some}
    place.mkdir(parents=True, exist_ok=True)
    write_manifest(place / MANIFEST, sorted(union.values(), key=lambda u: u.id))
    ids = {name: [u.id for u in some] for name, some in chosen.items()}
    write_atomically(place / CHOSEN, json.dumps(ids).encode())


class _Draw:
    """The utterances of a subset with the smallest hashes, of however many are offered."""

    def __init__(self, subset: Subset) -> None:
        self.subset = subset
        self.kept: list[tuple[float, int, Utterance]] = []
        self.offered = 0

    def offer(self, utterance: Utterance) -> None:
        wanted = self.subset
        if utterance.audio is None or utterance.split != wanted.split:
            return
        if wanted.part is not None and utterance.extra.get("part") != wanted.part:
            return
        if wanted.roles and utterance.role not in wanted.roles:
            return
        # the largest hash on top, to be thrown out by the next smaller one
        rank = -float(int(hash_json(utterance.id)[:12], 16))
        limit = wanted.utterances or math.inf
        if len(self.kept) >= limit and rank <= self.kept[0][0]:
            return
        seconds = utterance.duration or probe(utterance.audio).duration - utterance.start
        if not wanted.shortest_s <= seconds <= wanted.longest_s:
            return
        self.offered += 1
        put: Callable[..., Any] = heapq.heappushpop if len(self.kept) >= limit else heapq.heappush
        put(self.kept, (rank, self.offered, utterance))

    def chosen(self) -> list[Utterance]:
        return [utterance for _, _, utterance in sorted(self.kept, key=lambda kept: -kept[0])]


def _hash(place: Path, subsets: Mapping[str, tuple[str, ...]]) -> str:
    """Of names, texts, speakers, alignments, and of the sound itself; of no path."""
    utterances = load_manifest(place / MANIFEST)
    sounds = ContentHashes(place / MEMORY).of(u.audio for u in utterances if u.audio)
    rows = [
        [u.id, u.text, u.speaker, u.start, u.duration, u.phones, sounds.get(u.audio or Path())]
        for u in utterances
    ]
    return hash_json([rows, {name: list(ids) for name, ids in subsets.items()}])
