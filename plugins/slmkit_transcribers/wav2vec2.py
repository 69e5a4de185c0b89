"""The transcriber `wav2vec2`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from slmkit.api import Transcriber
from slmkit_transcribers.plugin import Wav2Vec2Options
from slmkit_transcribers.pretrained import loaded, rows
from slmkit_transcribers.windows import heard_in_windows

LEAST = 400
"""Samples that the first frame spans."""


class Wav2Vec2(Transcriber):
    """Characters by CTC, greedily, each utterance by itself: the group norm of wav2vec2-base
    takes its statistics over time, padding included, and no mask helps.

    Attention grows with the square of the length, so long sound is cut in pauses.
    """

    sample_rate = 16000

    def __init__(self, options: Wav2Vec2Options) -> None:
        from transformers import AutoModelForCTC, Wav2Vec2Processor

        self._processor, self._model = loaded(
            "wav2vec2",
            options.model,
            Wav2Vec2Processor.from_pretrained,
            AutoModelForCTC.from_pretrained,
        )
        self._model.eval()

    @torch.inference_mode()
    def transcribe(self, wav: Tensor, lengths: Tensor) -> list[str]:
        return [heard_in_windows(self._hear, row, self.sample_rate) for row in rows(wav, lengths)]

    def _hear(self, wav: Tensor) -> str:
        heard = self._processor(
            wav.numpy(), sampling_rate=self.sample_rate, return_tensors="pt"
        ).input_values
        # the convolutions have no frame to give for less than their reach
        heard = torch.nn.functional.pad(heard, (0, max(0, LEAST - heard.shape[1])))
        best = self._model(heard).logits.argmax(dim=-1)
        return str(self._processor.batch_decode(best)[0]).strip()

    def save(self, folder: Path) -> None:
        """Nothing: the weights are named in the options."""
        folder.mkdir(parents=True, exist_ok=True)

    def restore(self, folder: Path) -> None:
        """Nothing."""
