"""The corpus `spoken-digits`: questions and answers put together from recordings of digits."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from slmkit.api import Corpus, Interval, OptionsError, Progress, Utterance
from slmkit.data.audio import Wave, read_utterance, write_audio
from slmkit.data.content import hash_json
from slmkit_corpora.digit_tasks import DIGITS, TOPICS, Words, every_question, hold_out, question
from slmkit_corpora.shelf import Shelf

if TYPE_CHECKING:
    from slmkit_corpora.plugin import SpokenDigitsOptions

SAMPLE_RATE = 16000
FADE_S = 0.004
"""Recordings are cut tight; a short fade at both ends keeps the joints from clicking."""
WORDS_IN_A_ROW = range(1, 6)
WHERE = "corpus 'spoken-digits'"


class Planned(NamedTuple):
    """An utterance, and the recordings that it is put together from (none: text alone)."""

    utterance: Utterance
    recordings: tuple[Utterance, ...]


class SpokenDigits(Corpus):
    """Spoken tasks on digits (see `slmkit_corpora.digit_tasks`) over the digits of a manifest.

    Each utterance is one speaker's; the assistant answers and never asks (unless it is alone).
    Splits are the manifest's own: an utterance of a split holds recordings of that split only.
    "dev" and "test" ask what "train" never asks; "world" holds every question with its answer,
    held-out ones too, as text alone. The same for the same options and manifest.

    Raises OptionsError where the options ask for too much, DataError where the manifest lacks it.
    """

    def __init__(self, options: SpokenDigitsOptions) -> None:
        least = {"questions": 1, "dev": 0, "test": 0, "words": 0, "gap_ms": 0}
        faults = [
            f"{WHERE}: option '{name}' is {getattr(options, name)}, must be {low} or more"
            for name, low in least.items()
            if getattr(options, name) < low
        ]
        if faults:
            raise OptionsError(faults)
        self.options = options
        self.payloads = hold_out(options.seed, options.dev, options.test)
        self._waves: dict[str, Wave] = {}

    def utterances(self, folder: Path, progress: Progress) -> Iterator[Utterance]:
        planned = list(self.plan())
        for done, (utterance, recordings) in enumerate(planned, start=1):
            yield self._composed(utterance, recordings, folder) if recordings else utterance
            progress(done, len(planned), "composing")

    def plan(self) -> Iterator[Planned]:
        """Every utterance and what it is put together from, before any sound is read."""
        options = self.options
        counts = {"train": options.questions, "dev": options.dev, "test": options.test}
        splits = [split for split, count in counts.items() if count]
        shelf = Shelf(Path(options.manifest).expanduser(), options.assistant, splits)
        number = 0
        for split in splits:
            for i in range(counts[split]):
                payload = self.payloads[split][i // len(TOPICS) % len(self.payloads[split])]
                yield from self._exchange(number, split, TOPICS[i % len(TOPICS)], payload, shelf)
                number += 1
        yield from self._words(shelf)
        yield from _reading()

    def _exchange(
        self, number: int, split: str, topic: str, payload: Words, shelf: Shelf
    ) -> Iterator[Planned]:
        draw = random.Random(f"{self.options.seed} {split} {number}")
        _, asked, answer = question(topic, payload)
        speaker = shelf.asker(split, asked, draw)
        first = Utterance(
            f"question-{number:06d}",
            text=" ".join(asked),
            speaker=speaker,
            split=split,
            role="question",
            topic=topic,
        )
        second = replace(
            first,
            id=f"answer-{number:06d}",
            text=" ".join(answer),
            speaker=shelf.assistant,
            role="answer",
            reply_to=first.id,
        )
        yield Planned(first, shelf.take(split, speaker, asked, draw))
        yield Planned(second, shelf.take(split, shelf.assistant, answer, draw))

    def _words(self, shelf: Shelf) -> Iterator[Planned]:
        """Random digits, every second utterance the assistant's.

        What "dev" and "test" ask about is not among those to learn from.
        """
        held = {payload for split in ("dev", "test") for payload in self.payloads[split]}
        for i in range(self.options.words):
            draw = random.Random(f"{self.options.seed} words {i}")
            split = {4: "dev", 9: "test"}.get(i // 2 % 10, "train")
            if split not in shelf.splits:
                split = "train"
            digits = tuple(draw.choices(DIGITS, k=draw.choice(WORDS_IN_A_ROW)))
            while split == "train" and held & {digits, digits[1:]}:
                digits = tuple(draw.choices(DIGITS, k=len(digits)))
            speaker = shelf.assistant if i % 2 == 0 else shelf.asker(split, digits, draw)
            utterance = Utterance(
                f"words-{i:06d}", text=" ".join(digits), speaker=speaker, split=split, role="words"
            )
            yield Planned(utterance, shelf.take(split, speaker, digits, draw))

    def _composed(
        self, utterance: Utterance, recordings: Sequence[Utterance], folder: Path
    ) -> Utterance:
        gap = round(self.options.gap_ms * SAMPLE_RATE / 1000)
        pieces = [self._faded(recording) for recording in recordings]
        *starts, end = accumulate((len(piece) + gap for piece in pieces), initial=0)
        samples = end - gap
        key = hash_json([[r.id for r in recordings], gap])[:16]
        path = folder / f"{utterance.id}-{key}.flac"
        if not path.exists():
            wav = np.zeros(samples, dtype=np.float32)
            for start, piece in zip(starts, pieces, strict=True):
                wav[start : start + len(piece)] = piece
            write_audio(path, wav, SAMPLE_RATE)
        words = tuple(
            Interval(label, start / SAMPLE_RATE, (start + len(piece)) / SAMPLE_RATE)
            for label, start, piece in zip(str(utterance.text).split(), starts, pieces, strict=True)
        )
        return replace(
            utterance,
            audio=path,
            duration=samples / SAMPLE_RATE,
            words=words,
            extra={"recordings": [r.id for r in recordings]},
        )

    def _faded(self, recording: Utterance) -> Wave:
        """The sound of a recording; kept, since each stands in several utterances."""
        if recording.id not in self._waves:
            wav = read_utterance(recording, SAMPLE_RATE)
            count = min(round(FADE_S * SAMPLE_RATE), len(wav) // 2)
            slope = np.linspace(0.0, 1.0, count, endpoint=False, dtype=np.float32)
            wav[:count] *= slope
            wav[len(wav) - count :] *= slope[::-1]
            self._waves[recording.id] = wav
        return self._waves[recording.id]


def _reading() -> Iterator[Planned]:
    """All questions with their answers as text."""
    for number, (topic, asked, answer) in enumerate(every_question()):
        first = Utterance(
            f"read-question-{number:06d}",
            text=" ".join(asked),
            split="world",
            role="question",
            topic=topic,
        )
        yield Planned(first, ())
        second = replace(
            first,
            id=f"read-answer-{number:06d}",
            text=" ".join(answer),
            role="answer",
            reply_to=first.id,
        )
        yield Planned(second, ())
