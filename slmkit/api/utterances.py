"""`Utterance`: what every corpus gives, a stretch of sound and what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple


class Interval(NamedTuple):
    """A word or phone and where it lies, in seconds from the utterance's start."""

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Utterance:
    """One utterance; without audio it is text that is read, never heard.

    Attributes:
        id: unique in its corpus.
        audio: the file, or None for text alone.
        text: what is said, or None where unknown.
        speaker: who says it, or None.
        split: "train", "dev", "test", or a further test split such as "test-voice".
        start, duration: the range of the file in seconds; duration None: up to its end.
        role: "question", "answer", "read" (a sentence read aloud), "words" (the corpus's
            words in random order, for judges), or None.
        reply_to: for an answer, the id of its question.
        topic: the kind of question, where a corpus has kinds.
        words, phones: alignments, where known.
        extra: anything else a manifest holds.
    """

    id: str
    audio: Path | None = None
    text: str | None = None
    speaker: str | None = None
    split: str = "train"
    start: float = 0.0
    duration: float | None = None
    role: str | None = None
    reply_to: str | None = None
    topic: str | None = None
    words: tuple[Interval, ...] = ()
    phones: tuple[Interval, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
