"""What listens to waves: a judge who writes, and an encoder of voices. Letters: n (sample)."""

from __future__ import annotations

from typing import Any

import numpy as np

from slmkit.api import AudioError
from slmkit.data.audio import resampled
from slmkit.data.batches import pad_wavs


def transcribed(judge: Any, wav: np.ndarray, rate: int) -> str:
    """What a judge hears in a wave [n], at its own rate. Raises AudioError."""
    check_heard(wav)
    text: str = judge.transcribe(*pad_wavs([resampled(wav, rate, judge.sample_rate)]))[0]
    return text


def embedded(voices: Any, wav: np.ndarray, rate: int) -> np.ndarray:
    """The embedding [d], of unit length, of the voice in a wave [n]. Raises AudioError."""
    check_heard(wav)
    vector = voices.embed(*pad_wavs([resampled(wav, rate, voices.sample_rate)]))[0]
    unit: np.ndarray = vector.detach().cpu().numpy()
    return unit


def check_heard(wav: np.ndarray) -> None:
    """Raise AudioError for what nobody can listen to."""
    if not len(wav) or not np.isfinite(wav).all():
        raise AudioError("the wave is empty or has samples that are not finite numbers")
