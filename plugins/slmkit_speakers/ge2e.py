"""The speaker encoder `resemblyzer`."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from slmkit.api import AudioError, NoOptions, SpeakerEncoder

with warnings.catch_warnings():
    # webrtcvad imports pkg_resources, which says at length that it will go
    warnings.simplefilter("ignore")
    from resemblyzer import VoiceEncoder, normalize_volume, trim_long_silences

LEVEL_DBFS = -30


class Resemblyzer(SpeakerEncoder):
    """The mean over windows of 1.6 s, each utterance by itself.

    Prepared as the package does: quiet sound is raised to -30 dBFS, long silences are cut. Its
    units are rectified, so that cosines lie in 0..1; do not set them beside another encoder's.
    """

    sample_rate = 16000
    width = 256

    def __init__(self, options: NoOptions) -> None:
        self._encoder = VoiceEncoder(device="cpu", verbose=False)

    def embed(self, wav: Tensor, lengths: Tensor) -> Tensor:
        rows = zip(wav, lengths.tolist(), strict=True)
        return torch.stack([self._embed(row[:length].numpy()) for row, length in rows])

    def _embed(self, wav: np.ndarray) -> Tensor:
        if len(wav) == 0 or not np.isfinite(wav).all() or not wav.any():
            raise AudioError("an empty, silent or broken sound has no voice")
        speech = trim_long_silences(normalize_volume(wav, LEVEL_DBFS, increase_only=True))
        if len(speech) == 0:
            raise AudioError("there is no speech in this sound")
        return torch.from_numpy(self._encoder.embed_utterance(speech)).float()

    def save(self, folder: Path) -> None:
        """Nothing: the weights are the package's."""
        folder.mkdir(parents=True, exist_ok=True)

    def restore(self, folder: Path) -> None:
        """Nothing."""
