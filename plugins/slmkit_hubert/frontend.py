"""From a wave to the frames of HuBERT's encoder.

The convolutions run over a stretch of a wave at a time, with channels last, so that what lies
between two of them stays in the processor's cache however long the wave is.
Letters: n (sample), t (frame), c (channel), d (width), k (kernel).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slmkit.codecs.linear import FrozenLinear

STRETCH = 32000
"""Samples that go through the convolutions together."""


@dataclass(frozen=True)
class Frames:
    """How frames lie in a wave: one for each `hop` samples, each of them seeing `sight`."""

    hop: int
    sight: int

    @classmethod
    def of(cls, kernels: list[int], strides: list[int]) -> Frames:
        """Of unpadded convolutions on top of each other."""
        sight = 1
        for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
            sight = (sight - 1) * stride + kernel
        return cls(math.prod(strides), sight)

    def count(self, samples: int) -> int:
        """Whole frames in so many samples."""
        return max(0, (samples - self.sight) // self.hop + 1)

    def span(self, start: int, stop: int) -> slice:
        """The samples that frames start..stop-1 see."""
        return slice(start * self.hop, (stop - 1) * self.hop + self.sight)


class FrontEnd(nn.Module):
    """The convolutions of a HubertModel of transformers, and its projection to the width.

    hubert-base normalizes each channel of the first convolution over the whole wave (group norm);
    its mean and variance follow from the mean and covariance of the wave's windows, so that they
    are known before any convolution, in float64, and the norm becomes part of the weights. The
    large models normalize each frame after every convolution instead (layer norm).
    """

    def __init__(self, hubert: Any) -> None:
        super().__init__()
        config = hubert.config
        self.kernels, self.strides = list(config.conv_kernel), list(config.conv_stride)
        self.frames = Frames.of(self.kernels, self.strides)
        self.over_time = config.feat_extract_norm == "group"
        layers = list(hubert.feature_extractor.conv_layers)
        for number, layer in enumerate(layers):
            weight = layer.conv.weight.detach()[:, :, None]
            self.register_buffer(f"weight_{number}", weight.to(memory_format=torch.channels_last))
            bias = None if layer.conv.bias is None else layer.conv.bias.detach()
            self.register_buffer(f"bias_{number}", bias)
        self.first_norm = layers[0].layer_norm
        self.norms = nn.ModuleList([] if self.over_time else [each.layer_norm for each in layers])
        self.activation = layers[0].activation
        projection = hubert.feature_projection
        self.norm = projection.layer_norm if projection.feat_proj_layer_norm else nn.Identity()
        self.projection = FrozenLinear.of(projection.projection)

    def first(self, wav: Tensor) -> tuple[Tensor, Tensor | None]:
        """Weight and bias of the first convolution for a wave [n], its norm over time included."""
        weight, bias = self._convolution(0)
        if not self.over_time:
            return weight, bias
        mean, covariance = moments(wav, self.kernels[0], self.strides[0])
        rows = weight[:, 0, 0].double()
        variance = ((rows @ covariance) * rows).sum(dim=1).clamp(min=0)
        scale = self.first_norm.weight.double() / (variance + self.first_norm.eps).sqrt()
        # a bias of the convolution itself is part of the mean, and goes with it
        shift = self.first_norm.bias.double() - scale * (rows @ mean)
        folded = (scale[:, None] * rows).float()[:, None, None]
        return folded.to(memory_format=torch.channels_last), shift.float()

    def forward(
        self, wav: Tensor, first: tuple[Tensor, Tensor | None], start: int, stop: int
    ) -> Tensor:
        """Frames start..stop-1 [t, d] of a wave [n]; `first` as found from the whole of it."""
        step = max(1, STRETCH // self.frames.hop)
        pieces = [
            self._convolve(wav[self.frames.span(at, min(at + step, stop))], first)
            for at in range(start, stop, step)
        ]
        found: Tensor = self.projection(self.norm(torch.cat(pieces)))
        return found

    def _convolve(self, wav: Tensor, first: tuple[Tensor, Tensor | None]) -> Tensor:
        """[n] -> [t, c] through every convolution."""
        x = wav[None, None, None]
        for number, stride in enumerate(self.strides):
            weight, bias = self._convolution(number) if number else first
            x = F.conv2d(x, weight, bias, stride=(1, stride))
            if not self.over_time:
                x = self.norms[number](x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
            x = self.activation(x)
        return x[0, :, 0].T

    def _convolution(self, number: int) -> tuple[Tensor, Tensor | None]:
        return getattr(self, f"weight_{number}"), getattr(self, f"bias_{number}")


def moments(wav: Tensor, kernel: int, stride: int) -> tuple[Tensor, Tensor]:
    """Mean [k] and covariance [k, k], float64, of all windows of a wave [n]."""
    windows = wav.unfold(0, kernel, stride)
    total = wav.new_zeros(kernel, dtype=torch.float64)
    squares = wav.new_zeros(kernel, kernel, dtype=torch.float64)
    for some in windows.split(STRETCH):
        some = some.double()
        total += some.sum(dim=0)
        squares += some.T @ some
    mean = total / len(windows)
    return mean, squares / len(windows) - torch.outer(mean, mean)
