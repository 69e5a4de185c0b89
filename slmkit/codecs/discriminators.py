"""HiFi-GAN's discriminators and the least-squares losses that they teach by.

Kong et al. 2020; multi-scale as in MelGAN (Kumar et al. 2019). A discriminator gives, for each of
its sub-discriminators, a score map and the features of every layer.

Letters: b (batch), n (sample), p (period), c (channel).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

SLOPE = 0.1


@dataclass(frozen=True, eq=False)
class Judgement:
    """What one sub-discriminator says: its scores, and the features of each layer."""

    scores: Tensor
    features: list[Tensor]


class PeriodDiscriminator(nn.Module):
    """Looks at every p-th sample: the wave [b, n] folded to [b, 1, n / p, p]."""

    def __init__(self, period: int, width: float = 1.0) -> None:
        super().__init__()
        self.period = period
        widths = (1, *(max(1, round(full * width)) for full in (32, 128, 512, 1024, 1024)))
        # the last layer keeps every sample
        strides = (3, 3, 3, 3, 1)
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv2d(a, b, (5, 1), (stride, 1), padding=(2, 0)))
            for (a, b), stride in zip(itertools.pairwise(widths), strides, strict=True)
        )
        self.conv_post = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, wav: Tensor) -> Judgement:
        short = -wav.shape[1] % self.period
        x = F.pad(wav[:, None], (0, short), "reflect")
        return _judge(x.unflatten(2, (-1, self.period)), self.convs, self.conv_post)


class ScaleDiscriminator(nn.Module):
    """Looks at the wave at one scale through grouped convolutions."""

    def __init__(self, spectral: bool, width: float = 1.0) -> None:
        super().__init__()
        norm = spectral_norm if spectral else weight_norm
        narrow = {full: max(16, 16 * round(full * width / 16)) for full in (128, 256, 512, 1024)}
        narrow[1] = 1
        shapes = (
            (1, 128, 15, 1, 1),
            (128, 128, 41, 2, 4),
            (128, 256, 41, 2, 16),
            (256, 512, 41, 4, 16),
            (512, 1024, 41, 4, 16),
            (1024, 1024, 41, 1, 16),
            (1024, 1024, 5, 1, 1),
        )
        self.convs = nn.ModuleList(
            norm(nn.Conv1d(narrow[a], narrow[b], k, s, padding=k // 2, groups=g))
            for a, b, k, s, g in shapes
        )
        self.conv_post = norm(nn.Conv1d(narrow[1024], 1, 3, padding=1))

    def forward(self, wav: Tensor) -> Judgement:
        return _judge(wav[:, None], self.convs, self.conv_post)


class Discriminators(nn.Module):
    """All periods and all scales; the first scale under spectral norm. `width` 1 is published."""

    def __init__(
        self, periods: Sequence[int] = (2, 3, 5, 7, 11), scales: int = 3, width: float = 1.0
    ) -> None:
        super().__init__()
        self.mpd = nn.ModuleList(PeriodDiscriminator(period, width) for period in periods)
        self.msd = nn.ModuleList(ScaleDiscriminator(scale == 0, width) for scale in range(scales))

    def forward(self, wav: Tensor) -> list[Judgement]:
        judgements = [discriminator(wav) for discriminator in self.mpd]
        for scale, discriminator in enumerate(self.msd):
            if scale:
                wav = F.avg_pool1d(wav[:, None], 4, 2, padding=2)[:, 0]
            judgements.append(discriminator(wav))
        return judgements


def _judge(x: Tensor, convs: nn.ModuleList, last: nn.Module) -> Judgement:
    features = []
    for conv in convs:
        x = F.leaky_relu(conv(x), SLOPE)
        features.append(x)
    scores = last(x)
    return Judgement(scores.flatten(1), [*features, scores])


def discriminator_loss(true: Sequence[Judgement], made: Sequence[Judgement]) -> Tensor:
    """Least squares (Mao et al. 2017): true waves to 1, made ones to 0."""
    terms = [
        (1 - t.scores).square().mean() + m.scores.square().mean()
        for t, m in zip(true, made, strict=True)
    ]
    return torch.stack(terms).sum()


def adversarial_loss(made: Sequence[Judgement]) -> Tensor:
    """The generator's side: made waves to 1."""
    return torch.stack([(1 - m.scores).square().mean() for m in made]).sum()


def feature_loss(true: Sequence[Judgement], made: Sequence[Judgement]) -> Tensor:
    """Feature matching: L1 between the features of true and made waves, summed over layers."""
    terms = [
        (a.detach() - b).abs().mean()
        for t, m in zip(true, made, strict=True)
        for a, b in zip(t.features, m.features, strict=True)
    ]
    return torch.stack(terms).sum()
