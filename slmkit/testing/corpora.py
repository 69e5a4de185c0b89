"""The laws of corpora."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from slmkit.api import Corpus, Interval, Utterance

SLACK_S = 0.05
"""How far a range or an alignment may reach beyond the end of its sound, which is rounded."""


def corpus_laws(make: Callable[[], Corpus], folder: Path) -> None:
    """Hold a corpus to its contract; `make` builds it, a small one, since all its sound is read.

    Raises AssertionError, which says what is broken.
    """
    first = _utterances(make(), folder / "first")
    assert first, "a corpus gives utterances"
    ids = [utterance.id for utterance in first]
    assert len(set(ids)) == len(ids), "every utterance has an id of its own"
    _replies(first)
    for utterance in first:
        _well_formed(utterance)
    _comes_again(make, folder, first)
    assert all(isinstance(text, str) for text in make().texts()), "texts are strings"


def _utterances(corpus: Corpus, folder: Path) -> list[Utterance]:
    def progress(done: int, total: int | None = None, text: str = "") -> None:
        assert total is None or 0 <= done <= total, f"progress tells of {done} items of {total}"

    return list(corpus.utterances(folder, progress))


def _replies(utterances: Sequence[Utterance]) -> None:
    by_id = {utterance.id: utterance for utterance in utterances}
    for answer in utterances:
        if answer.reply_to is None:
            continue
        assert answer.reply_to in by_id, f"'{answer.id}' answers '{answer.reply_to}', not there"
        question = by_id[answer.reply_to]
        assert question.id != answer.id, f"'{answer.id}' answers itself"
        assert question.split == answer.split, (
            f"'{answer.id}' is in another split than its question"
        )


def _well_formed(utterance: Utterance) -> None:
    """Its sound can be read, and its alignments lie in it; or it has a text."""
    who = f"'{utterance.id}'"
    assert utterance.split, f"{who} is in no split"
    if utterance.audio is None:
        assert utterance.text, f"{who} has neither sound nor text"
        return
    with soundfile.SoundFile(utterance.audio) as file:
        rate, whole = file.samplerate, file.frames / file.samplerate
        wav = file.read(dtype="float32", always_2d=True)[round(utterance.start * rate) :]
    end = whole if utterance.duration is None else utterance.start + utterance.duration
    assert 0 <= utterance.start < end <= whole + SLACK_S, (
        f"{who} lies at {utterance.start} to {end} s of {utterance.audio}, which lasts {whole} s"
    )
    assert np.isfinite(wav[: round((end - utterance.start) * rate)]).all(), f"{who} is not finite"
    for name in ("words", "phones"):
        _aligned(f"the {name} of {who}", getattr(utterance, name), end - utterance.start)


def _aligned(what: str, intervals: Sequence[Interval], duration: float) -> None:
    before = 0.0
    for interval in intervals:
        assert interval.label, f"{what}: an interval without a label"
        assert before <= interval.start <= interval.end <= duration + SLACK_S, (
            f"{what}: {interval} behind {before:g} s and within {duration:g} s"
        )
        before = interval.start


def _comes_again(make: Callable[[], Corpus], folder: Path, first: Sequence[Utterance]) -> None:
    """The same once more, both where its sound lies already and in an empty folder."""
    made = {u.audio: u.audio.stat().st_mtime_ns for u in first if u.audio is not None}
    assert _utterances(make(), folder / "first") == first, "each time the same utterances"
    for path, when in made.items():
        assert path.stat().st_mtime_ns == when, f"{path} was there and was written again"
    second = _utterances(make(), folder / "second")
    assert [_placeless(u) for u in second] == [_placeless(u) for u in first], (
        "in another folder the same utterances"
    )
    for one, other in zip(first, second, strict=True):
        if one.audio is not None and other.audio is not None and one.audio != other.audio:
            same = np.array_equal(soundfile.read(one.audio)[0], soundfile.read(other.audio)[0])
            assert same, f"'{one.id}' sounds otherwise when it is made again"


def _placeless(utterance: Utterance) -> Utterance:
    """An utterance but for where its sound lies."""
    name = None if utterance.audio is None else Path(utterance.audio.name)
    return dataclasses.replace(utterance, audio=name)
