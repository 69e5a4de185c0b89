"""`Reader`: a trained model of text to speech with its tokenizer, ready to read aloud.

Letters: k (codebook), t (frame), n (sample).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from slmkit.api import AudioError, Codes, DataError, MisfitError, Tokenizer, Vocoder
from slmkit.data.audio import Wave, is_silent
from slmkit.generation.attempts import Attempt, attempts
from slmkit.generation.measuring import longest_speech
from slmkit.generation.sampling import Sampling
from slmkit.lm.reading import Reading
from slmkit.lm.speechlm import SpeechLM

SHORTEST_VOICE = 1.0
"""Seconds of a voice, below which little of it is heard."""


@dataclass(frozen=True, eq=False)
class Reader:
    """Says texts in a voice that it is given."""

    lm: SpeechLM
    reading: Reading
    tokenizer: Tokenizer
    vocoder: Vocoder

    def hear(self, wav: Wave, name: str) -> np.ndarray:
        """The codes [k, t] of a voice, from its first seconds, as many as the model was taught to
        listen to; `wav` [n] is at the tokenizer's rate. Raises AudioError, MisfitError."""
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
        enough = (self.reading.prompt_frames + 1) * spec.hop_length + spec.sample_rate
        heard = torch.from_numpy(wav[:enough])[None]
        codes = self.tokenizer.encode(heard, torch.tensor([heard.shape[1]]))
        found: np.ndarray = codes.values[0, :, : self.reading.prompt_frames].numpy()
        return found

    def read(
        self,
        texts: Sequence[str],
        voice: np.ndarray | None,
        sampling: Sampling,
        seconds: float,
        retries: int,
    ) -> list[Attempt]:
        """Say texts in one voice, each in at most so many seconds. Raises DataError for a text
        without words or with characters that the model cannot read."""
        for text in texts:
            if not text.strip():
                raise DataError("there is nothing to say: the text is empty")
            if not self.lm.vocabulary.text.encode(text):
                raise DataError(f"there is nothing to say: the model reads no word in {text!r}")
        frames = round(seconds * self.lm.spec.frame_rate)
        steps = longest_speech(self.lm, frames) + 2
        sampling = replace(sampling, most=steps, stop=(self.reading.stop,))
        prompts = [self.reading.question(text, voice) for text in texts]
        limits = [frames] * len(texts)
        return attempts(self.lm, prompts, sampling, limits, len(texts), retries, _unseen)

    def sound(self, codes: np.ndarray) -> Tensor:
        """The wave [n] of codes [k, t]."""
        with torch.inference_mode():
            wav, lengths = self.vocoder.synthesize(
                Codes.pad([torch.from_numpy(codes)], self.lm.spec)
            )
        return wav[0, : int(lengths[0])]


def _unseen(done: int, total: int | None = None, text: str = "") -> None:
    """No progress is shown of a few texts."""
