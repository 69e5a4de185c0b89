"""Recordings made worse, as waves: noise, reverberation, speed.

lhotse's transforms of waves need torchaudio, all but its noise from files; these need nothing.
Letters: n (sample).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

Wave = NDArray[np.float32]

SNR_DB = (5.0, 30.0)
"""Noise lies so far below the sound."""

COLOUR = (0.0, 2.0)
"""Its power falls with frequency to a power between white's and brown's."""

T60_S = (0.1, 0.6)
"""Time in which a room's echo falls by 60 dB."""

ECHO_DB = (-15.0, 0.0)
"""Level of the echo beside the direct sound."""

SPEED = 0.1
"""Greatest change of speed, either way; pitch goes with it."""


def speed_of(share: float, rng: np.random.Generator) -> float:
    """How many samples of the recording become one: 1 where it stays as it is."""
    drawn, far = rng.random(), rng.uniform(-1, 1)
    return float((1 + SPEED) ** far) if drawn < share else 1.0


def respeed(wav: Wave, speed: float, samples: int) -> Wave:
    """A wave [n] so many times as fast, cut or filled to `samples`."""
    if speed != 1.0 and len(wav):
        wav = soxr.resample(wav, speed, 1.0, quality="MQ")
    return np.pad(wav[:samples], (0, max(0, samples - len(wav)))).astype(np.float32)


def worsen(
    wav: Wave, shares: Mapping[str, float], sample_rate: int, rng: np.random.Generator
) -> Wave:
    """A wave [n] with reverberation and noise, each by its chance."""
    reverberates, noisy = rng.random(2)
    if reverberates < shares["reverberation"]:
        wav = reverberate(wav, sample_rate, rng)
    if noisy < shares["noise"]:
        wav = add_noise(wav, rng)
    return wav


def add_noise(wav: Wave, rng: np.random.Generator) -> Wave:
    """Coloured noise at a random level under the wave's; a silent wave stays silent."""
    white = rng.standard_normal(len(wav))
    return with_noise(wav, white, rng.uniform(*COLOUR), rng.uniform(*SNR_DB))


def with_noise(wav: Wave, white: NDArray[np.float64], colour: float, snr_db: float) -> Wave:
    """A wave [n] with white noise [n] turned to a colour (its power falls with frequency to this
    power), so far below the wave."""
    spectrum = np.fft.rfft(white)
    frequencies = np.arange(1, len(spectrum) + 1) / len(spectrum)
    noise = np.fft.irfft(spectrum * frequencies ** (-colour / 2), len(wav))
    level = _rms(wav) / max(_rms(noise), 1e-9) * 10 ** (-snr_db / 20)
    return np.clip(wav + level * noise, -1, 1).astype(np.float32)


def reverberate(wav: Wave, sample_rate: int, rng: np.random.Generator) -> Wave:
    """A room's echo, the room drawn at random."""
    t60, echo_db = rng.uniform(*T60_S), rng.uniform(*ECHO_DB)
    return with_echo(wav, rng.standard_normal(int(t60 * sample_rate)), echo_db)


def with_echo(wav: Wave, white: NDArray[np.float64], echo_db: float) -> Wave:
    """A wave [n] in a room: after the direct sound white noise that falls by 60 dB until its end,
    exponentially (Polack 1988), so loud beside it. As loud as before."""
    level, count = 10 ** (echo_db / 20), len(white)
    tail = white * 10 ** (-3 * np.arange(count) / count)
    room = np.concatenate([[1.0], tail * level / max(float(np.linalg.norm(tail)), 1e-9)])
    size = len(wav) + len(room) - 1
    wet = np.fft.irfft(np.fft.rfft(wav, size) * np.fft.rfft(room, size), size)[: len(wav)]
    return np.clip(wet * _rms(wav) / max(_rms(wet), 1e-9), -1, 1).astype(np.float32)


def _rms(wav: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(wav, dtype=np.float64))))
