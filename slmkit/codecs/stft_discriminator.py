"""The multi-scale STFT discriminator of EnCodec (Defossez et al. 2022), as in SpeechTokenizer.

Letters: b (batch), n (sample), c (channel), t (frame), f (frequency bin).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from slmkit.codecs.discriminators import Judgement

SLOPE = 0.2
WINDOWS = (2048, 1024, 512, 256, 128)
DILATIONS = (1, 2, 4)
"""Over time, of the layers that halve the frequencies."""

KERNEL = (3, 9)
"""Frames and bins that a layer sees; the last two see 3 by 3."""


class StftDiscriminator(nn.Module):
    """Looks at the complex spectrogram of one window, a quarter of it apart.

    Real and imaginary parts are two channels of an image [b, 2, t, f], the window of unit energy.
    """

    def __init__(self, window: int, filters: int = 32) -> None:
        super().__init__()
        self.size = window
        self.window: Tensor
        hann = torch.hann_window(window)
        self.register_buffer("window", hann / hann.square().sum().sqrt(), persistent=False)
        shapes = [(2, KERNEL, 1, 1), *((filters, KERNEL, 2, dilation) for dilation in DILATIONS)]
        shapes.append((filters, (3, 3), 1, 1))
        self.convs = nn.ModuleList(
            _convolution(inputs, filters, kernel, stride, dilation)
            for inputs, kernel, stride, dilation in shapes
        )
        self.conv_post = _convolution(filters, 1, (3, 3), 1, 1)

    def forward(self, wav: Tensor) -> Judgement:
        """Judge waves [b, n]; those that are shorter than the window are filled with zeros."""
        x = self._image(wav)
        features = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), SLOPE)
            features.append(x)
        return Judgement(self.conv_post(x).flatten(1), features)

    def _image(self, wav: Tensor) -> Tensor:
        """[b, n] -> [b, 2, t, f], the channels last in memory, as processors convolve it best."""
        wav = F.pad(wav, (0, max(0, self.size - wav.shape[1])))
        # spectra are taken in float32 where the layers multiply in bfloat16
        with torch.autocast(wav.device.type, enabled=False):
            frames = wav.float().unfold(1, self.size, self.size // 4) * self.window
            spectrum = torch.view_as_real(torch.fft.rfft(frames))
        return spectrum.permute(0, 3, 1, 2)


class StftDiscriminators(nn.Module):
    """One for each window, in samples."""

    def __init__(self, windows: Sequence[int] = WINDOWS, filters: int = 32) -> None:
        super().__init__()
        self.scales = nn.ModuleList(StftDiscriminator(window, filters) for window in windows)

    def forward(self, wav: Tensor) -> list[Judgement]:
        """What each says of waves [b, n]."""
        return [scale(wav) for scale in self.scales]


def _convolution(
    inputs: int, outputs: int, kernel: tuple[int, int], stride: int, dilation: int
) -> nn.Module:
    """Over frames and bins, of which it keeps every `stride`-th; padded on all sides."""
    padding = ((kernel[0] - 1) * dilation // 2, (kernel[1] - 1) // 2)
    return weight_norm(nn.Conv2d(inputs, outputs, kernel, (1, stride), padding, (dilation, 1)))
