"""The speaker encoder `wavlm-sv`."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from slmkit.api import AudioError, SpeakerEncoder, WeightsError
from slmkit_speakers.plugin import WavLmSvOptions


class WavLmSv(SpeakerEncoder):
    """WavLM's x-vector, scaled to unit length; each utterance by itself, since its normalization
    over time would see padding."""

    sample_rate = 16000

    def __init__(self, options: WavLmSvOptions) -> None:
        from transformers import WavLMForXVector

        try:
            self._model = WavLMForXVector.from_pretrained(options.model, dtype=torch.float32)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise WeightsError(
                f"wavlm-sv: no model at '{options.model}' ({reason}); give a folder, or download "
                f"it: hf download {options.model}"
            ) from None
        self._model.eval()
        self.width = int(self._model.config.xvector_output_dim)

    @torch.inference_mode()
    def embed(self, wav: Tensor, lengths: Tensor) -> Tensor:
        vectors = []
        for row, length in zip(wav, lengths.tolist(), strict=True):
            if length == 0 or not torch.isfinite(row[:length]).all():
                raise AudioError("an empty or broken sound has no voice")
            # as its published preprocessor does
            sound = torch.nn.functional.layer_norm(row[None, :length], (length,))
            vectors.append(self._model(sound).embeddings[0])
        return torch.nn.functional.normalize(torch.stack(vectors), dim=-1)

    def save(self, folder: Path) -> None:
        """Nothing: the weights are named in the options."""
        folder.mkdir(parents=True, exist_ok=True)

    def restore(self, folder: Path) -> None:
        """Nothing."""
