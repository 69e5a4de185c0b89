"""HiFi-GAN over units as one writes it down: `nn.Conv1d` over [b, c, t] under weight norm.

The peer of `python -m benchmarks.vocoder`: the shapes, losses and optimizers of slmkit's stage, and
nothing else that it does.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from slmkit.codecs.discriminators import (
    Discriminators,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
)
from slmkit.codecs.hifigan import DurationPredictor, HifiGanSizes
from slmkit.codecs.losses import SpectralLoss, duration_loss
from slmkit.training.vocoder import Crops, VocoderTraining


class Residual(nn.Module):
    """Pairs of a dilated and a plain convolution."""

    def __init__(self, channels: int, kernel: int, dilations: Iterable[int]) -> None:
        super().__init__()

        def layer(dilation: int) -> nn.Module:
            pad = (kernel - 1) // 2 * dilation
            conv = nn.Conv1d(channels, channels, kernel, padding=pad, dilation=dilation)
            return weight_norm(conv)

        self.pairs = nn.ModuleList(nn.Sequential(layer(d), layer(1)) for d in dilations)

    def forward(self, x: Tensor) -> Tensor:
        for pair in self.pairs:
            x = x + pair[1](F.leaky_relu(pair[0](F.leaky_relu(x, 0.1)), 0.1))
        return x


class PlainGenerator(nn.Module):
    """Units [b, t] to waves [b, n]."""

    def __init__(self, sizes: HifiGanSizes) -> None:
        super().__init__()
        self.embedding = nn.Embedding(sizes.num_embeddings, sizes.embedding_dim)
        self.durations = DurationPredictor(
            sizes.embedding_dim,
            sizes.duration_hidden,
            sizes.duration_kernel,
            sizes.duration_dropout,
        )
        channels = sizes.upsample_initial_channel
        self.first = weight_norm(nn.Conv1d(sizes.embedding_dim, channels, 7, padding=3))
        self.stages = nn.ModuleList()
        shapes = zip(sizes.upsample_rates, sizes.upsample_kernel_sizes, strict=True)
        for rate, kernel in shapes:
            pad = (kernel - rate) // 2
            up = weight_norm(nn.ConvTranspose1d(channels, channels // 2, kernel, rate, pad))
            channels //= 2
            blocks = zip(sizes.resblock_kernel_sizes, sizes.resblock_dilation_sizes, strict=True)
            residuals = nn.ModuleList(Residual(channels, k, d) for k, d in blocks)
            self.stages.append(nn.ModuleDict({"up": up, "residuals": residuals}))
        self.last = weight_norm(nn.Conv1d(channels, 1, 7, padding=3))

    def forward(self, units: Tensor) -> Tensor:
        x = self.first(self.embedding(units).transpose(1, 2))
        for stage in self.stages:
            x = stage["up"](F.leaky_relu(x, 0.1))
            x = sum(each(x) for each in stage["residuals"]) / len(stage["residuals"])
        return torch.tanh(self.last(F.leaky_relu(x)))[:, 0]


def train(
    generator: PlainGenerator, sample_rate: int, batches: Iterable[Crops], how: VocoderTraining
) -> None:
    """A step of the adversaries and one of the generator for each batch, in float32."""
    spectral = SpectralLoss(sample_rate)
    adversaries = Discriminators() if how.adversarial else None
    ours = torch.optim.AdamW(generator.parameters(), how.lr, betas=(0.8, 0.99))
    theirs = adversaries and torch.optim.AdamW(adversaries.parameters(), how.lr, betas=(0.8, 0.99))
    for batch in batches:
        made = generator(batch.units)
        if adversaries is not None and theirs is not None:
            theirs.zero_grad()
            discriminator_loss(adversaries(batch.wav), adversaries(made.detach())).backward()
            theirs.step()
        mel, stft = spectral(made, batch.wav)
        present = (batch.durations > 0).float()[:, None]
        predicted = generator.durations(generator.embedding(batch.merged), present)
        loss = how.mel * mel + how.stft * stft
        loss = loss + how.duration * duration_loss(predicted, batch.durations, batch.real)
        if adversaries is not None:
            true, judged = adversaries(batch.wav), adversaries(made)
            loss = loss + how.adversarial * adversarial_loss(judged)
            loss = loss + how.feature * feature_loss(true, judged)
        ours.zero_grad()
        loss.backward()
        ours.step()
