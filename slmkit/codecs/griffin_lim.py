"""Waves from mel spectrograms without a network.

Letters: b (batch), t (frame), f (frequency bin), m (mel band), n (sample).
"""

from __future__ import annotations

import torch
from torch import Tensor


def linear_of_mel(mel: Tensor, filters: Tensor, rounds: int = 30) -> Tensor:
    """Magnitudes [.., f] >= 0 whose mel bands are closest to [.., m]; filters [m, f].

    Least squares under non-negativity by multiplicative updates (Lee and Seung 2001).
    """
    linear = (mel @ torch.linalg.pinv(filters).T).clamp(min=1e-6)
    target = mel @ filters
    gram = filters.T @ filters
    for _ in range(rounds):
        linear = linear * target / (linear @ gram).clamp(min=1e-12)
    return linear


def griffin_lim(
    magnitude: Tensor, n_fft: int, hop_length: int, rounds: int = 32, momentum: float = 0.99
) -> Tensor:
    """A wave [b, n] whose magnitudes are near [b, f, t]; always the same for the same input.

    The fast variant (Perraudin et al. 2013), started from random phase of a fixed seed.
    """
    window = torch.hann_window(n_fft)
    frames = magnitude.shape[-1]
    samples = (frames - 1) * hop_length
    generator = torch.Generator().manual_seed(0)
    # drawn frame by frame, so that a longer batch does not change a row's phase
    turns = torch.rand(frames, magnitude.shape[1], generator=generator).T * (2 * torch.pi)
    phase = torch.polar(torch.ones_like(turns), turns).expand_as(magnitude)
    before = torch.zeros_like(phase)
    for _ in range(rounds):
        wav = torch.istft(magnitude * phase, n_fft, hop_length, window=window, length=samples)
        rebuilt = torch.stft(wav, n_fft, hop_length, window=window, return_complex=True)
        phase = rebuilt - before * (momentum / (1 + momentum))
        phase = phase / phase.abs().clamp(min=1e-12)
        before = rebuilt
    wav = torch.istft(magnitude * phase, n_fft, hop_length, window=window, length=samples)
    return wav
