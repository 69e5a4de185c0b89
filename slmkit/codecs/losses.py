"""Losses between waves. Letters: b (batch), n (sample), t (frame), m (mel band)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from slmkit.codecs.mel import mel_filters

FLOOR = 1e-5


class SpectralLoss(nn.Module):
    """L1 of log-mel plus multi-resolution STFT loss.

    Spectral convergence and L1 of log magnitude at several windows (Yamamoto et al. 2020,
    Parallel WaveGAN), and HiFi-GAN's mel loss at the first of them.
    """

    def __init__(
        self, sample_rate: int, windows: Sequence[int] = (1024, 512, 256), mels: int = 80
    ) -> None:
        super().__init__()
        self.windows = tuple(windows)
        filters = mel_filters(sample_rate, self.windows[0], mels)
        self.register_buffer("filters", filters, persistent=False)
        for size in self.windows:
            self.register_buffer(f"window_{size}", torch.hann_window(size), persistent=False)

    def forward(self, made: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
        """(mel, stft) losses of waves [b, n]."""
        stft = made.new_zeros(())
        mel = made.new_zeros(())
        for index, size in enumerate(self.windows):
            ours, theirs = self._magnitude(made, size), self._magnitude(true, size)
            log_ours, log_theirs = ours.clamp(min=FLOOR).log(), theirs.clamp(min=FLOOR).log()
            convergence = torch.linalg.vector_norm(theirs - ours) / torch.linalg.vector_norm(
                theirs
            ).clamp(min=FLOOR)
            stft = stft + convergence + (log_ours - log_theirs).abs().mean()
            if index == 0:
                mel = (self._log_mel(ours) - self._log_mel(theirs)).abs().mean()
        return mel, stft / len(self.windows)

    def _magnitude(self, wav: Tensor, size: int) -> Tensor:
        window: Tensor = getattr(self, f"window_{size}")
        spectrum = torch.stft(wav, size, size // 4, window=window, return_complex=True)
        return (spectrum.real.square() + spectrum.imag.square() + 1e-9).sqrt()

    def _log_mel(self, magnitude: Tensor) -> Tensor:
        filters: Tensor = self.filters
        return (filters @ magnitude).clamp(min=FLOOR).log()


def duration_loss(predicted: Tensor, frames: Tensor, real: Tensor) -> Tensor:
    """Mean squared error of log(frames + 1) [b, t] over the units that are real (bool [b, t])."""
    target = (frames.float() + 1).log()
    return ((predicted - target).square() * real).sum() / real.sum().clamp(min=1)
