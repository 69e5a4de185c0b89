"""The transcriber `whisper`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmkit.api import Transcriber
from slmkit_transcribers.plugin import WhisperOptions
from slmkit_transcribers.pretrained import loaded, rows
from slmkit_transcribers.windows import heard_in_windows


class Whisper(Transcriber):
    """Greedy, each utterance by itself, in windows of at most thirty seconds cut in pauses."""

    sample_rate = 16000

    def __init__(self, options: WhisperOptions) -> None:
        from transformers import WhisperForConditionalGeneration, WhisperProcessor

        self.options = options
        self._processor, self._model = loaded(
            "whisper",
            options.model,
            WhisperProcessor.from_pretrained,
            WhisperForConditionalGeneration.from_pretrained,
        )
        self._model.eval()

    @torch.inference_mode()
    def transcribe(self, wav: Tensor, lengths: Tensor) -> list[str]:
        return [heard_in_windows(self._hear, row, self.sample_rate) for row in rows(wav, lengths)]

    def _hear(self, wav: Tensor) -> str:
        heard = self._processor(
            wav.numpy(), sampling_rate=self.sample_rate, return_tensors="pt"
        ).input_features
        named: dict[str, Any] = {}
        if self.options.language is not None:
            named = {"language": self.options.language, "task": "transcribe"}
        ids = self._model.generate(heard, do_sample=False, num_beams=1, **named)
        return str(self._processor.batch_decode(ids, skip_special_tokens=True)[0]).strip()

    def save(self, folder: Path) -> None:
        """Nothing: the weights are named in the options."""
        folder.mkdir(parents=True, exist_ok=True)

    def restore(self, folder: Path) -> None:
        """Nothing."""
