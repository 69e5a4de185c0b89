"""The transcriber `wav2vec2`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from slmkit.api import Transcriber
from slmkit_transcribers.plugin import Wav2Vec2Options
from slmkit_transcribers.pretrained import loaded, rows


class Wav2Vec2(Transcriber):
    """Characters by CTC, greedily, each utterance by itself."""

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
        texts = []
        for row in rows(wav, lengths):
            heard = self._processor(
                row.numpy(), sampling_rate=self.sample_rate, return_tensors="pt"
            ).input_values
            best = self._model(heard).logits.argmax(dim=-1)
            texts.append(str(self._processor.batch_decode(best)[0]).strip())
        return texts

    def save(self, folder: Path) -> None:
        """Nothing: the weights are named in the options."""
        folder.mkdir(parents=True, exist_ok=True)

    def restore(self, folder: Path) -> None:
        """Nothing."""
