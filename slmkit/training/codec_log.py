"""Held-out utterances and their copies in a training's TensorBoard log.

Letters: n (sample), t (frame), m (mel band).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from slmkit.api import Utterance
from slmkit.codecs.codec import SeanetCodec
from slmkit.codecs.mel import LogMel
from slmkit.data.audio import read_utterance

LONGEST_S = 8
"""Seconds of an utterance that are listened to."""

RANGE = (-11.5, 2.0)
"""Log-mel from black to white, nats."""


@dataclass(frozen=True, eq=False)
class Listening:
    """An utterance that is copied at every check: its id and its wave [n]."""

    id: str
    wav: Tensor

    @classmethod
    def read(cls, utterance: Utterance, sample_rate: int) -> Listening:
        """Its beginning, from its file."""
        wav = read_utterance(utterance, sample_rate)[: LONGEST_S * sample_rate]
        return cls(utterance.id, torch.from_numpy(wav))


def log_sounds(logger: Any, codec: SeanetCodec, listening: Sequence[Listening], step: int) -> None:
    """Sound and log-mel of each utterance's copy by all codebooks; of the utterance itself too."""
    if not isinstance(logger, TensorBoardLogger):
        return
    mel, log = LogMel(codec.sample_rate), logger.experiment
    for one in listening:
        device = next(codec.parameters()).device
        wav = one.wav.to(device).expand(1, codec.sizes.channels, -1)
        with torch.no_grad():
            latents = codec.quantizer.decode(codec.quantizer.encode(codec.encoder(wav)))
            copy = codec.decoder(latents).mean(dim=1)[0, : wav.shape[-1]].float().cpu()
        for name, sound in ((f"{one.id}/copy", copy), (f"{one.id}/true", one.wav)):
            log.add_audio(name, sound.clamp(-1, 1), step, codec.sample_rate)
            log.add_image(name, _picture(mel(sound[None])[0]), step, dataformats="HW")


def _picture(log_mel: Tensor) -> Tensor:
    """Log-mel [t, m] as an image of 0..1, low bands at the bottom."""
    low, high = RANGE
    return ((log_mel.T.flip(0) - low) / (high - low)).clamp(0, 1)
