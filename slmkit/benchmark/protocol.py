"""The protocols of SLMTokBench: every setting that a figure hangs on, and their hash.

A protocol stands in `benchmarks/slmtokbench.yaml`, which travels in the wheel. Two rows are held
against each other only where the hash of these settings is the same. Imports no torch.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slmkit.api import OptionsError, UnknownNameError, nearest
from slmkit.data.books import check_books
from slmkit.data.content import hash_json
from slmkit.recipe.document import Document, Key, read_document
from slmkit.recipe.shipped import shipped_protocols

PART, TRAINED = "part", "trained"


@dataclass(frozen=True)
class Subset:
    """Which utterances of a corpus are taken: at most so many, drawn by a hash of their names.

    Attributes:
        split: of the utterances.
        part: what `extra["part"]` must be, as `slmkit prepare` notes it ("train-clean-100").
        utterances: at most so many; None: all.
        roles: of the utterances; none: all.
        shortest_s, longest_s: their length, seconds.
    """

    split: str
    part: str | None = None
    utterances: int | None = None
    roles: list[str] = field(default_factory=list)
    shortest_s: float = 0.0
    longest_s: float = 30.0


@dataclass(frozen=True)
class Data:
    """The speech. `train` is learnt from, `dev` chooses, mutual information is measured on
    `information`, all else on `test`.

    Attributes:
        corpus: a corpus that makes its own speech, as a slot of a recipe; or
        public: a public corpus by the name that `slmkit prepare` has for it.
    """

    train: Subset
    dev: Subset
    information: Subset
    test: Subset
    corpus: dict[str, Any] | None = None
    public: str | None = None


@dataclass(frozen=True)
class Fit:
    """What a tokenizer that comes unfitted (k-means) learns from: training utterances."""

    utterances: int
    batch: int = 32


@dataclass(frozen=True)
class Judge:
    """Who transcribes copies: a part, and where it is trained here, how (of `train`)."""

    part: dict[str, Any]
    trained: bool = False
    steps: int = 0
    lr: float = 3e-3
    batch_frames: int = 6000


@dataclass(frozen=True)
class Alignment:
    """The probe that reads text off frozen codes, and whose likelihoods bound the information.

    Attributes:
        width: of the embeddings and of each direction of the LSTM.
        batch_frames: frames in a batch, padding included.
        choose: whether of ten points of the training the one that writes `dev` best is kept.
        by_character: whether likelihoods are divided by the length of the text.
        items: utterances among which mutual information is measured, at most.
    """

    width: int
    steps: int
    lr: float
    batch_frames: int
    choose: bool
    by_character: bool
    items: int


@dataclass(frozen=True)
class Preservation:
    """How many utterances of `test` are coded and decoded again."""

    items: int


@dataclass(frozen=True)
class Phones:
    """Phones and speakers in units, and the ABX task.

    Attributes:
        items: utterances of `test` whose frames are counted, at most.
        shortest_s: phones shorter than this are left out of ABX.
        tokens: of a phone by one speaker, at most.
        triples: of a pair of phones and a speaker (or two), at most.
    """

    items: int
    shortest_s: float
    tokens: int
    triples: int


@dataclass(frozen=True)
class Invariance:
    """What is done to the sound before units are compared with those of the clean sound.

    Attributes:
        items: utterances of `test`.
        noise_db: white noise lies so far below the sound.
        stretch: the sound lasts so many times as long.
        pitch: semitones up.
        reverberation_s: time in which the room's echo falls by 60 dB.
    """

    items: int
    noise_db: float
    stretch: float
    pitch: float
    reverberation_s: float


@dataclass(frozen=True)
class Cost:
    """How many utterances of `test` are timed, after one that is not."""

    items: int


@dataclass(frozen=True)
class Protocol:
    """One protocol, as it is carried out."""

    name: str
    summary: str
    seeds: list[int]
    selections: list[str]
    data: Data
    fit: Fit
    judge: Judge
    voices: dict[str, Any]
    alignment: Alignment
    preservation: Preservation
    phones: Phones
    invariance: Invariance
    cost: Cost

    @property
    def hash(self) -> str:
        """Of every setting; what it is called and how it is described does not count."""
        settings = dataclasses.asdict(self)
        return hash_json({k: v for k, v in settings.items() if k not in ("name", "summary")})


def load_protocol(name: str, file: Path | None = None) -> Protocol:
    """A protocol by its name, of the shipped file or another. Raises UnknownNameError, and
    OptionsError with every fault of it."""
    document = read_document(file or shipped_protocols())
    known = document.values.get("protocols")
    if not isinstance(known, dict):
        raise OptionsError([f"{document.path}:1: key 'protocols': holds a mapping of protocols"])
    faults = list(document.faults)
    faults += [
        _unknown(document, (key,), ["protocols"]) for key in document.values if key != "protocols"
    ]
    if name not in known:
        raise UnknownNameError("protocol", name, known, str(document.path))
    made = _made(Protocol, known[name], document, ("protocols", name), faults, {"name": name})
    if made is not None:
        faults += _senseless(made, document, ("protocols", name))
    if faults or made is None:
        raise OptionsError(sorted(faults))
    return typing.cast(Protocol, made)


def changed(protocol: Protocol, **changes: Any) -> Protocol:
    """The protocol with a person's own seeds or judges: another one, by its hash."""
    return dataclasses.replace(protocol, **{k: v for k, v in changes.items() if v is not None})


def _made(
    kind: type[Any],
    values: Any,
    document: Document,
    key: Key,
    faults: list[str],
    given: Mapping[str, Any] | None = None,
) -> Any:
    """A dataclass of plain values, or None where they do not fit; the faults are noted."""
    if not isinstance(values, dict):
        faults.append(f"{document.place(key)}: key '{'.'.join(key)}': holds a mapping")
        return None
    before, hints = len(faults), typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    faults += [_unknown(document, (*key, n), [*fields]) for n in values if n not in fields]
    made = dict(given or {})
    for name, each in fields.items():
        if name in values:
            made[name] = _value(hints[name], values[name], document, (*key, name), faults)
        elif name not in made and each.default is each.default_factory is dataclasses.MISSING:
            faults.append(f"{document.place(key)}: key '{'.'.join((*key, name))}': is missing")
    return kind(**made) if len(faults) == before else None


def _value(hint: Any, value: Any, document: Document, key: Key, faults: list[str]) -> Any:
    if dataclasses.is_dataclass(hint):
        return _made(typing.cast(type[Any], hint), value, document, key, faults)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not _fits(value, hint):
        name = hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else hint
        faults.append(f"{document.place(key)}: key '{'.'.join(key)}': {value!r} is not {name}")
    return value


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return isinstance(value, list) and all(_fits(each, inner[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict)
    if inner:
        return any(_fits(value, each) for each in inner)
    if hint in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, hint)


def _unknown(document: Document, key: Key, known: list[str]) -> str:
    near = nearest(key[-1], known)
    meant = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
    return f"{document.place(key)}: key '{'.'.join(key)}': unknown; {meant}"


def _senseless(protocol: Protocol, document: Document, key: Key) -> Iterator[str]:
    """What fits its type and means nothing."""

    def fault(name: str, problem: str) -> str:
        at = (*key, *name.split("."))
        return f"{document.place(at)}: key '{'.'.join(at)}': {problem}"

    if len(set(protocol.seeds)) < 2 or len(set(protocol.seeds)) != len(protocol.seeds):
        yield fault("seeds", "two or more are needed, each once: of one no spread is known")
    for selection in protocol.selections:
        try:
            check_books(selection)
        except ValueError as error:
            yield fault("selections", str(error))
    if (protocol.data.corpus is None) == (protocol.data.public is None):
        yield fault("data", "names one of 'corpus' and 'public'")
    for name, slot in (("judge.part", protocol.judge.part), ("voices", protocol.voices)):
        if not isinstance(slot.get(PART), str):
            yield fault(name, f"must name its part: {{{PART}: NAME}}")
