"""`Assistant`: a trained model with its tokenizer and vocoder, ready to be asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from slmkit.api import Codes, Tokenizer, Vocoder
from slmkit.generation.loop import complete
from slmkit.generation.sampling import Sampling
from slmkit.lm.dialogue import Reply, Style, parse
from slmkit.lm.speechlm import SpeechLM


@dataclass(frozen=True, eq=False)
class Assistant:
    """Asks a model in its own style and gives back what it understood, wrote and spoke.

    Attributes:
        prompting: "chain" (transcribe, think, speak) or "direct".
    """

    lm: SpeechLM
    style: Style
    vocoder: Vocoder
    tokenizer: Tokenizer | None = None
    prompting: str = "chain"

    def ask_many(
        self,
        questions: Sequence[str | np.ndarray],
        format: str,
        sampling: Sampling,
        rows: Sequence[int] | None = None,
    ) -> list[Reply]:
        """Replies to questions of one format, side by side; speech is given as units [1, t]."""
        turn = self.style.turn(self.prompting, format)
        key = "question_speech" if format.startswith("speech") else "question"
        prompts = [self.style.prompt(turn, {key: question}) for question in questions]
        return [parse(answer) for answer in complete(self.lm, prompts, sampling, rows)]

    def hear(self, wav: Tensor) -> np.ndarray:
        """Deduplicated units [1, t] of a wave [n] at the tokenizer's rate."""
        if self.tokenizer is None:
            raise ValueError("this assistant was built without a tokenizer: it can only read")
        codes = self.tokenizer.encode(wav[None], torch.tensor([len(wav)])).deduplicate()
        units: np.ndarray = codes.values[0].numpy()
        return units

    def speak(self, units: Sequence[np.ndarray], voice: Tensor | None = None) -> list[Tensor]:
        """Waves [n] of units [1, t], side by side, in a voice that `vocoder.voice` gives."""
        spec = replace(self.lm.spec, deduplicated=True)
        codes = Codes.pad([torch.from_numpy(each) for each in units], spec)
        with torch.inference_mode():
            speaker = None if voice is None else voice.expand(len(codes), *voice.shape)
            wav, lengths = self.vocoder.synthesize(codes, speaker)
        return [row[:length] for row, length in zip(wav, lengths.tolist(), strict=True)]
