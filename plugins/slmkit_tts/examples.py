"""What a model of text to speech learns and is asked. Letters: k (codebook), t (frame)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from slmkit.api import DataError, Segment, Speech, Text, Utterance
from slmkit.data.store import TokenStore
from slmkit.lm.reading import Reading

STOP = "<eoa>"
"""Ends an answer: behind the speech, since delayed codebooks end later than `<eosp>`."""


@dataclass(frozen=True)
class Spoken:
    """The utterances of a split with their codes, and for each another one in its voice."""

    utterances: Sequence[Utterance]
    store: TokenStore
    reading: Reading

    def codes(self, utterance: Utterance) -> np.ndarray:
        """Int64 [k, t]."""
        codes: np.ndarray = self.store.row(utterance.id).codes
        return codes

    def seconds(self, utterance: Utterance) -> float:
        """How long it is."""
        if utterance.duration is not None:
            return utterance.duration
        return self.codes(utterance).shape[1] / self.store.spec.frame_rate

    def pairs(
        self, seed: int, shortest: float = 0.0
    ) -> Iterator[tuple[Utterance, Utterance | None]]:
        """Each utterance with another one of its speaker, of `shortest` seconds or more, if there
        is one and it is wanted. Who spoke is known by name: what has none is nobody's voice. Where
        speech goes on from its voice, that one is whole, and no longer than a prompt may be."""
        frame_rate, most = self.store.spec.frame_rate, self.reading.prompt_frames
        voices: dict[str | None, list[Utterance]] = {}
        for utterance in self.utterances:
            seconds = self.seconds(utterance)
            whole = not self.reading.goes_on or round(seconds * frame_rate) <= most
            if whole and (not shortest or seconds >= shortest):
                voices.setdefault(utterance.speaker, []).append(utterance)
        draw = random.Random(seed)
        for utterance in self.utterances:
            others = voices.get(utterance.speaker, [])
            itself = any(other is utterance for other in others)
            unknown = utterance.speaker is None
            if self.reading.prompt_frames == 0 or unknown or len(others) <= itself:
                yield utterance, None
                continue
            at = draw.randrange(len(others) - itself)
            yield utterance, others[at] if others[at] is not utterance else others[-1]

    def question(self, utterance: Utterance, voice: Utterance | None) -> list[Segment]:
        """The text, and speech in the voice in which it is to be said."""
        heard, words = (None, "") if voice is None else (self.codes(voice), voice.text or "")
        said = words if self.reading.goes_on else ""
        return self.reading.question(utterance.text or "", heard, said)

    def example(self, utterance: Utterance, voice: Utterance | None) -> list[Segment]:
        """The same with its answer, which is to be learnt; and with it the voice from which that
        goes on."""
        asked, codes = self.question(utterance, voice), self.codes(utterance)
        if self.reading.goes_on:
            begun = [] if voice is None else [self.codes(voice)]
            asked, codes = asked[:1], np.concatenate([*begun, codes], axis=1)
        return [*asked, Speech(codes, learn=True), Text(STOP, learn=True)]


def spoken(
    utterances: Sequence[Utterance],
    store: TokenStore,
    split: str,
    roles: Sequence[str],
    prompt_seconds: float,
    goes_on: bool = False,
) -> Spoken:
    """What of a corpus can be learnt or asked. Raises DataError where there is nothing, or where a
    voice is to be taken from less than a frame."""
    found: dict[object, Utterance] = {}
    for u in utterances:
        if (
            u.audio
            and (u.text or "").strip()
            and u.split == split
            and (not roles or u.role in roles)
        ):
            found.setdefault((u.audio, u.start), u)
    if not found:
        raise DataError(f"the corpus has no spoken texts in the split '{split}'")
    frames = round(prompt_seconds * store.spec.frame_rate)
    if prompt_seconds and not frames:
        raise DataError(
            f"prompt_seconds {prompt_seconds:g} is shorter than a frame of "
            f"{1 / store.spec.frame_rate:g} s: give more, or 0 for no voice"
        )
    return Spoken(list(found.values()), store, Reading(frames, STOP, goes_on))
