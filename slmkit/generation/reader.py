"""`Reader`: a trained model of text to speech with its tokenizer, ready to read aloud.

Letters: k (codebook), t (frame), n (sample).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from slmkit.api import (
    AudioError,
    Codes,
    DataError,
    MisfitError,
    Segment,
    Text,
    Tokenizer,
    Transcriber,
    Vocoder,
)
from slmkit.data.audio import Wave, is_silent, resampled
from slmkit.data.batches import pad_wavs
from slmkit.generation.attempts import Attempt, attempts
from slmkit.generation.measuring import longest_speech
from slmkit.generation.sampling import Sampling
from slmkit.lm.reading import Reading
from slmkit.lm.speechlm import SpeechLM

FRAMES = 1 << 30
"""More than any speech has."""
SHORTEST_VOICE = 1.0
"""Seconds of a voice, below which little of it is heard."""


@dataclass(frozen=True, eq=False)
class Reader:
    """Says texts in a voice that it is given; `listener` makes what writes down what a voice says,
    where a model goes on from it and nobody has told."""

    lm: SpeechLM
    reading: Reading
    tokenizer: Tokenizer
    vocoder: Vocoder
    listener: Callable[[], Transcriber] | None = None

    def hear(self, wav: Wave, name: str, said: str = "") -> np.ndarray:
        """The codes [k, t] of a voice, from its first seconds, as many as the model was taught to
        listen to; `wav` [n] is at the tokenizer's rate. Raises AudioError, also for a voice longer
        than that if somebody tells what is `said` in it, MisfitError."""
        if not self.reading.prompt_frames:
            raise MisfitError(f"{name}: this model has one voice and takes no other")
        spec = self.tokenizer.spec
        seconds = len(wav) / spec.sample_rate
        if seconds < SHORTEST_VOICE:
            raise AudioError(
                f"{name}: {seconds:.2f} s are too short for a voice: give at least "
                f"{SHORTEST_VOICE:g} s"
            )
        if is_silent(wav):
            raise AudioError(f"{name}: it is silent, no voice is heard in it")
        most = self.reading.prompt_frames / spec.frame_rate
        if self.reading.goes_on and said.strip() and seconds > most:
            raise AudioError(
                f"{name}: {seconds:.2f} s are more than the {most:g} s from which this model goes "
                "on: cut the voice, and what is said in it"
            )
        enough = (self.reading.prompt_frames + 1) * spec.hop_length + spec.sample_rate
        heard = torch.from_numpy(wav[:enough])[None]
        codes = self.tokenizer.encode(heard, torch.tensor([heard.shape[1]]))
        found: np.ndarray = codes.values[0, :, : self.reading.prompt_frames].numpy()
        return found

    def words_in(self, wav: Wave, name: str) -> str:
        """What a voice says in the seconds that `hear` takes, for models that go on from it, as the
        run's judge hears it. Raises MisfitError where there is none, AudioError for no words."""
        if self.listener is None:
            raise MisfitError(
                "this model goes on from its voice, and the run has no judge that hears what is "
                "said in it: tell it (--voice-text)"
            )
        judge, spec = self.listener(), self.tokenizer.spec
        taken = wav[: round(self.reading.prompt_frames / spec.frame_rate * spec.sample_rate)]
        heard = resampled(taken, spec.sample_rate, judge.sample_rate)
        said = judge.transcribe(*pad_wavs([heard]))[0].strip()
        if not said:
            raise AudioError(f"{name}: no words are heard in it: tell what it says (--voice-text)")
        return said

    def read(
        self,
        texts: Sequence[str],
        voice: np.ndarray | None,
        sampling: Sampling,
        seconds: float,
        retries: int,
        said: str = "",
    ) -> list[Attempt]:
        """Say texts in one voice, each in at most so many seconds; `said` is what the voice says,
        for models that go on from it. Raises DataError for a text without words or with characters
        that the model cannot read, MisfitError."""
        for text in texts:
            if not text.strip():
                raise DataError("there is nothing to say: the text is empty")
            if not self.lm.vocabulary.text.encode(text):
                raise DataError(f"there is nothing to say: the model reads no word in {text!r}")
        self._check_said(voice, said)
        frames = round(seconds * self.lm.spec.frame_rate)
        begun = voice.shape[1] if voice is not None and self.reading.goes_on else 0
        steps = longest_speech(self.lm, frames, begun) + 2
        best = self.reading.ends_at_best
        sampling = replace(sampling, most=steps, stop=(self.reading.stop,), ends_at_best=best)
        prompts = [self.reading.question(text, voice, said) for text in texts]
        limits = [min(frames, self._most_frames(prompt)) for prompt in prompts]
        return attempts(self.lm, prompts, sampling, limits, len(texts), retries, _unseen)

    def _check_said(self, voice: np.ndarray | None, said: str) -> None:
        """Raise MisfitError where what a voice says is missing, or told in vain."""
        goes_on = self.reading.goes_on
        if goes_on and voice is not None and not said.strip():
            raise MisfitError(
                "this model goes on from its voice: tell what is said in it (--voice-text)"
            )
        if said.strip() and (voice is None or not goes_on):
            why = "there is no voice" if voice is None else "this model need not know it"
            raise MisfitError(f"what the voice says is told in vain, {why}: leave it out")

    def _most_frames(self, prompt: Sequence[Segment]) -> int:
        """Frames that a prompt's text may take at most."""
        written = "".join(segment.text for segment in prompt if isinstance(segment, Text))
        return self.reading.frames_per_symbol * len(self.lm.vocabulary.encode(written)) or FRAMES

    def sound(self, codes: np.ndarray) -> Tensor:
        """The wave [n] of codes [k, t]."""
        with torch.inference_mode():
            wav, lengths = self.vocoder.synthesize(
                Codes.pad([torch.from_numpy(codes)], self.lm.spec)
            )
        return wav[0, : int(lengths[0])]


def _unseen(done: int, total: int | None = None, text: str = "") -> None:
    """No progress is shown of a few texts."""
