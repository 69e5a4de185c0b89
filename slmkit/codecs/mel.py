"""Log-mel spectrograms whose frames do not depend on the batch.

Letters: b (batch), n (sample), t (frame), f (frequency bin), m (mel band).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def mel_filters(
    sample_rate: int,
    n_fft: int,
    n_mels: int,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
) -> Tensor:
    """Triangular filters [m, f] on Slaney's mel scale, each of unit area (as librosa's default).

    Slaney's scale is linear up to 1 kHz and logarithmic above (Auditory Toolbox, 1998); `htk`
    takes HTK's, which is logarithmic throughout (2595 log10(1 + f / 700)).
    """
    top = sample_rate / 2 if fmax is None else fmax
    if htk:
        low, high = (2595.0 * math.log10(1.0 + hz / 700.0) for hz in (fmin, top))
        places = torch.linspace(low, high, n_mels + 2, dtype=torch.float64)
        edges = 700.0 * (10.0 ** (places / 2595.0) - 1.0)
    else:
        edges = _mel_to_hz(torch.linspace(_hz_to_mel(fmin), _hz_to_mel(top), n_mels + 2).double())
    bins = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return (triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]).float()


def _hz_to_mel(hz: float) -> float:
    step = torch.log(torch.tensor(6.4, dtype=torch.float64)) / 27.0
    if hz < 1000.0:
        return hz * 3.0 / 200.0
    return float(15.0 + torch.log(torch.tensor(hz / 1000.0, dtype=torch.float64)) / step)


def _mel_to_hz(mel: Tensor) -> Tensor:
    step = torch.log(torch.tensor(6.4, dtype=torch.float64)) / 27.0
    return torch.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * torch.exp(step * (mel - 15.0)))


class LogMel(nn.Module):
    """Wave [b, n] to log-mel [b, t, m], t = ceil(n / hop_length).

    Frame i is centred on samples i*hop .. (i+1)*hop; what lies outside the wave counts as silence,
    so that a row's frames are the same alone and in any padded batch, provided that the padding
    is zeros (`forward` makes it so when `lengths` is given). Its window begins `before` samples
    ahead of it.
    """

    def __init__(
        self,
        sample_rate: int = 16000,
        n_fft: int = 1024,
        hop_length: int = 320,
        n_mels: int = 80,
        fmin: float = 0.0,
        fmax: float | None = None,
        floor: float = 1e-5,
    ) -> None:
        super().__init__()
        self.sample_rate, self.n_fft, self.hop_length = sample_rate, n_fft, hop_length
        self.floor = floor
        self.before = (n_fft - hop_length) // 2
        self.filters: Tensor
        self.window: Tensor
        filters = mel_filters(sample_rate, n_fft, n_mels, fmin, fmax)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def frames(self, lengths: Tensor) -> Tensor:
        """Number of frames of waves of these lengths."""
        return -(-lengths // self.hop_length)

    def forward(self, wav: Tensor, lengths: Tensor | None = None) -> Tensor:
        if lengths is not None:
            real = torch.arange(wav.shape[1], device=wav.device) < lengths[:, None]
            wav = torch.where(real, wav, torch.zeros_like(wav))
        samples = wav.shape[1]
        frames = -(-samples // self.hop_length)
        right = max(0, (frames - 1) * self.hop_length + self.n_fft - self.before - samples)
        padded = nn.functional.pad(wav, (self.before, right))
        return self.spectra(padded.unfold(1, self.n_fft, self.hop_length)[:, :frames])

    def spectra(self, windows: Tensor) -> Tensor:
        """Log-mel [.., m] of windows [.., n_fft] of a wave, computed in their precision."""
        magnitude = torch.fft.rfft(windows * self.window).abs()
        filters = self.filters.to(magnitude.dtype)
        return torch.log((magnitude @ filters.T).clamp(min=self.floor))
