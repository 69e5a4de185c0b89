"""Waves from mel spectrograms without a network.

Letters: b (batch), t (frame), f (frequency bin), m (mel band), n (sample).
"""

from __future__ import annotations

import torch
from torch import Tensor

from slmkit.codecs.mel import LogMel


def wave_of_log_mel(log_mel: Tensor, mel: LogMel, rounds: int = 32) -> Tensor:
    """The wave [n] in -1..1 of log-mel frames [t, m] such as `mel` makes them, n = t * hop_length.

    `mel`'s frame i lies around sample (i + 1/2) * hop_length and is heard there; the inverse
    transform puts frames at whole multiples, so that it gets one frame more in front.
    """
    hop, samples = mel.hop_length, len(log_mel) * mel.hop_length
    magnitude = linear_of_mel(log_mel.exp(), mel.filters).T[None]
    magnitude = torch.cat([magnitude[..., :1], magnitude], dim=-1)
    # the last spectrum once more, so that the wave is as long as the frames say; and again until
    # the wave is longer than the half window by which its ends are reflected
    more = max(1, mel.n_fft // (2 * hop) + 2 - magnitude.shape[-1])
    magnitude = torch.cat([magnitude, magnitude[..., -1:].expand(-1, -1, more)], dim=-1)
    wav = griffin_lim(magnitude, mel.n_fft, hop, rounds)[0, hop // 2 : hop // 2 + samples]
    return wav.clamp(-1.0, 1.0)


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
    window = torch.hann_window(n_fft, device=magnitude.device)
    frames = magnitude.shape[-1]
    samples = (frames - 1) * hop_length
    generator = torch.Generator().manual_seed(0)
    # drawn frame by frame, so that a longer batch does not change a row's phase
    turns = torch.rand(frames, magnitude.shape[1], generator=generator).T * (2 * torch.pi)
    phase = torch.polar(torch.ones_like(turns), turns).to(magnitude.device).expand_as(magnitude)
    before = torch.zeros_like(phase)
    for _ in range(rounds):
        wav = torch.istft(magnitude * phase, n_fft, hop_length, window=window, length=samples)
        rebuilt = torch.stft(wav, n_fft, hop_length, window=window, return_complex=True)
        phase = rebuilt - before * (momentum / (1 + momentum))
        phase = phase / phase.abs().clamp(min=1e-12)
        before = rebuilt
    wav = torch.istft(magnitude * phase, n_fft, hop_length, window=window, length=samples)
    return wav
