"""Recordings made worse in ways that leave the words as they are, on log-mel spectrograms.

What learns from them hears the words and not the recording: loudness, microphone, room noise, and
the blur of synthetic voices. All random numbers come from torch's default generator. Letters:
b (batch), t (frame), m (mel band).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

FLOOR = math.log(1e-5)
"""Where `slmkit.codecs.mel.LogMel` cuts off, in nats of magnitude."""

TEMPO, SIZE = 0.15, 0.1
"""Greatest changes of tempo, and of the frequencies of a voice."""

GAIN = 1.5
"""Loudness varies by up to so much to either side, in nats (1 nat is 8.7 dB)."""

EQ = 0.5
"""Standard deviation of each of the three cosines that colour the spectrum, in nats."""

NOISE = (1.5, 7.0)
"""Nats by which noise lies below the loudest frames."""

LOW_PASS_CHANCE = 0.2
MASKS, MASK_FRAMES = 2, 5


def worsen(log_mel: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Log-mel [b, t, m] and lengths [b] with random tempo, size of the speaker, blur, colour,
    noise, loudness, band limit and masks."""
    worse, lengths = _retime(log_mel, lengths)
    worse = _blur(_resize(worse))
    worse = worse + _colour(worse)
    worse = _noise(worse, lengths)
    worse = worse + (torch.rand(len(worse), 1, 1, device=worse.device) * 2 - 1) * GAIN
    worse = _low_pass(worse).clamp(min=FLOOR)
    return _mask(worse, lengths), lengths


def _spread(rows: int, most: float, device: torch.device) -> Tensor:
    """Factors [rows] between 1 / (1 + most) and 1 + most, as often above 1 as below."""
    return torch.exp((torch.rand(rows, device=device) * 2 - 1) * math.log1p(most))


def _retime(log_mel: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Each row faster or slower, read between its frames."""
    rows, _, bands = log_mel.shape
    tempo = _spread(rows, TEMPO, log_mel.device)
    longer = (lengths / tempo).long().clamp(min=1)
    steps = torch.arange(int(longer.max()), device=log_mel.device)
    places = (steps * tempo[:, None])[:, :, None].expand(-1, -1, bands)
    return _between(log_mel, places, dim=1), longer


def _resize(log_mel: Tensor) -> Tensor:
    """Bands moved in proportion: a shorter or longer vocal tract (Jaitly and Hinton 2013)."""
    rows, frames, bands = log_mel.shape
    size = _spread(rows, SIZE, log_mel.device)
    places = torch.arange(bands, device=log_mel.device) * size[:, None]
    return _between(log_mel, places[:, None].expand(-1, frames, -1), dim=2)


def _between(log_mel: Tensor, places: Tensor, dim: int) -> Tensor:
    """Values at places that need not be whole, by linear interpolation."""
    last = log_mel.shape[dim] - 1
    before = places.long().clamp(max=last)
    after = (before + 1).clamp(max=last)
    return torch.lerp(log_mel.gather(dim, before), log_mel.gather(dim, after), places - before)


def _blur(log_mel: Tensor) -> Tensor:
    """Each row mixed with its own average over three bands, and over three frames."""
    for dim in (1, 2):
        share = torch.rand(len(log_mel), 1, 1, device=log_mel.device)
        around = (log_mel.roll(1, dim) + log_mel + log_mel.roll(-1, dim)) / 3
        log_mel = torch.lerp(log_mel, around, share)
    return log_mel


def _colour(log_mel: Tensor) -> Tensor:
    """A smooth curve over the bands for each row, [b, 1, m]."""
    bands = torch.linspace(0, math.pi, log_mel.shape[2], device=log_mel.device)
    cosines = torch.stack([torch.cos(k * bands) for k in (1, 2, 3)])
    return (EQ * torch.randn(len(log_mel), 3, device=log_mel.device) @ cosines)[:, None]


def _noise(log_mel: Tensor, lengths: Tensor) -> Tensor:
    """Noise of a random level and colour; magnitudes add up."""
    real = torch.arange(log_mel.shape[1], device=log_mel.device) < lengths[:, None]
    loud = log_mel.mean(dim=2).masked_fill(~real, -math.inf).amax(dim=1)
    low, high = NOISE
    level = loud - low - (high - low) * torch.rand(len(log_mel), device=log_mel.device)
    flutter = 0.4 * torch.randn_like(log_mel)
    return torch.logaddexp(log_mel, level[:, None, None] + _colour(log_mel) + flutter)


def _low_pass(log_mel: Tensor) -> Tensor:
    """Some rows lose all bands above a random one in the upper half."""
    rows, _, bands = log_mel.shape
    limit = (0.5 + 0.5 * torch.rand(rows, device=log_mel.device)) * bands
    chosen = torch.rand(rows, device=log_mel.device) < LOW_PASS_CHANCE
    above = torch.arange(bands, device=log_mel.device) > limit[:, None]
    return log_mel.masked_fill((above & chosen[:, None])[:, None], FLOOR)


def _mask(log_mel: Tensor, lengths: Tensor) -> Tensor:
    """Short stretches of time become the row's average (SpecAugment, Park et al. 2019)."""
    rows, frames, _ = log_mel.shape
    steps = torch.arange(frames, device=log_mel.device)
    mean = log_mel.mean(dim=1, keepdim=True)
    for _ in range(MASKS):
        start = torch.rand(rows, device=log_mel.device) * lengths
        size = torch.rand(rows, device=log_mel.device) * (MASK_FRAMES + 1)
        hidden = (steps >= start[:, None]) & (steps < (start + size.floor())[:, None])
        log_mel = torch.where(hidden[:, :, None], mean, log_mel)
    return log_mel
