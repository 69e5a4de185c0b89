"""What was said, and what judge and speaker encoder make of it.

Letters: k (codebook), t (frame), n (sample), d (width of an embedding).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from slmkit.api import AudioError, Codes, Metric, Tokenizer, Utterance, Vocoder
from slmkit.codecs.decoding_vocoder import as_vocoder
from slmkit.data.audio import Wave, is_silent, read_utterance, resampled
from slmkit.data.batches import pad_wavs
from slmkit.generation.attempts import Attempt
from slmkit.host import build
from slmkit_tts.cases import Case


@dataclass(frozen=True, eq=False)
class Said:
    """A case that was spoken, or its true utterance copied, as it was judged.

    Attributes:
        attempt: codes, what failed, and after how many tries.
        wav: float32 [n], at the tokenizer's output rate.
        heard: the judge's transcript.
        errors, words: wrong words, and words of the text.
        alike, stranger: cosine with the voice of the prompt, and with another speaker's; None
            where the case has no such voice. Speech in which no voice is heard is like nobody: 0.
    """

    case: Case
    attempt: Attempt
    wav: Wave
    heard: str
    errors: float
    words: float
    alike: float | None
    stranger: float | None

    @property
    def nearer(self) -> bool:
        """Whether the voice is more like the prompt's than like the stranger's."""
        return (self.alike or 0.0) > (self.stranger or 0.0)


class Ear:
    """A judge of words and an encoder of voices, which remembers the recordings it has heard."""

    def __init__(self, tokenizer: Tokenizer, judge: Any, encoder: Any) -> None:
        self.vocoder: Vocoder = as_vocoder(tokenizer)
        self.spec, self.judge, self.encoder = tokenizer.spec, judge, encoder
        self.wer: Metric = build("metric", "wer")
        self._voices: dict[str, np.ndarray] = {}

    @property
    def rate(self) -> int:
        """Of what is said, Hz."""
        return self.spec.output_sample_rate or self.spec.sample_rate

    def meet(self, case: Case) -> None:
        """Hear the recordings of a case. Raises AudioError for one in which there is no voice."""
        for one in (case.voice, case.stranger):
            if one is not None and one.id not in self._voices:
                self._voices[one.id] = self._voice_of(one, case)

    def judge_all(self, cases: Sequence[Case], tried: Sequence[Attempt]) -> list[Said]:
        """Decode and judge what was answered."""
        return [self._judge(case, each) for case, each in zip(cases, tried, strict=True)]

    def _judge(self, case: Case, attempt: Attempt) -> Said:
        wav, heard = np.zeros(0, dtype=np.float32), ""
        if attempt.codes.shape[1]:
            codes = Codes.pad([torch.from_numpy(attempt.codes)], self.spec)
            with torch.inference_mode():
                decoded, lengths = self.vocoder.synthesize(codes)
            wav = decoded[0, : int(lengths[0])].numpy()
        if len(wav):
            listened = resampled(wav, self.rate, self.judge.sample_rate)
            heard = self.judge.transcribe(*pad_wavs([listened]))[0]
        errors, words = self.wer.score(heard, case.utterance.text or "")
        voice = self._voice_in(wav)
        return Said(
            case, attempt, wav, heard, errors, words,
            self._like(voice, case.voice), self._like(voice, case.stranger),
        )  # fmt: skip

    def _voice_in(self, wav: Wave) -> np.ndarray | None:
        """The embedding [d] of what was said, None where no voice is heard."""
        if not len(wav):
            return None
        try:
            listened = resampled(wav, self.rate, self.encoder.sample_rate)
            found: np.ndarray = self.encoder.embed(*pad_wavs([listened]))[0].float().numpy()
        except AudioError:
            return None
        return found

    def _like(self, voice: np.ndarray | None, other: Utterance | None) -> float | None:
        if other is None:
            return None
        return 0.0 if voice is None else float(voice @ self._voices[other.id])

    def _voice_of(self, one: Utterance, case: Case) -> np.ndarray:
        wav = read_utterance(one, self.encoder.sample_rate)
        where = f"utterance '{one.id}', a voice for '{case.utterance.id}'"
        if is_silent(wav):
            raise AudioError(f"{where}: it is silent; leave it out of the corpus")
        try:
            found: np.ndarray = self.encoder.embed(*pad_wavs([wav]))[0].float().numpy()
        except AudioError as error:
            raise AudioError(f"{where}: {error}; leave it out of the corpus") from error
        return found


def best_of(draws: Sequence[Sequence[Said]]) -> list[Said]:
    """Of several answers to each case the one with the fewest wrong words, of equals one that did
    not fail, and of those the first."""
    return [
        min(said, key=lambda each: (each.errors, each.attempt.failure is not None))
        for said in zip(*draws, strict=True)
    ]
