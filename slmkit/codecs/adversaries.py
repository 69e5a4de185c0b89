"""All discriminators that a codec or a vocoder learns against, and what they teach by.

Any of HiFi-GAN's periods and scales and of EnCodec's windows, as narrow as is wanted; least squares
(Mao et al. 2017) or hinge (Lim and Ye 2017). Letters: b (batch), n (sample).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slmkit.codecs.discriminators import (
    Discriminators,
    Judgement,
    adversarial_loss,
    discriminator_loss,
)
from slmkit.codecs.stft_discriminator import StftDiscriminators


class Adversaries(nn.Module):
    """The periods, the scales and the windows asked for; `width` 1 is the published width."""

    def __init__(
        self,
        periods: Sequence[int] = (),
        scales: int = 0,
        windows: Sequence[int] = (),
        width: float = 1.0,
    ) -> None:
        super().__init__()
        self.waves = Discriminators(periods, scales, width)
        self.spectra = StftDiscriminators(windows, max(1, round(32 * width)))

    def __len__(self) -> int:
        return len(self.waves.mpd) + len(self.waves.msd) + len(self.spectra.scales)

    def forward(self, wav: Tensor) -> list[Judgement]:
        """What each says of waves [b, n]."""
        return [*self.waves(wav), *self.spectra(wav)]

    def compare(self, true: Tensor, made: Tensor) -> tuple[list[Judgement], list[Judgement]]:
        """What each says of true and of made waves [b, n], both in one pass."""
        both = self(torch.cat([true, made]))
        rows = len(true)
        return [_rows(j, slice(rows)) for j in both], [_rows(j, slice(rows, None)) for j in both]


def _rows(judgement: Judgement, rows: slice) -> Judgement:
    return Judgement(judgement.scores[rows], [feature[rows] for feature in judgement.features])


def hinge_discriminator_loss(true: Sequence[Judgement], made: Sequence[Judgement]) -> Tensor:
    """True waves above 1, made ones below -1; beyond, nothing more is to be learnt."""
    terms = [
        F.relu(1 - t.scores).mean() + F.relu(1 + m.scores).mean()
        for t, m in zip(true, made, strict=True)
    ]
    return torch.stack(terms).sum()


def hinge_adversarial_loss(made: Sequence[Judgement]) -> Tensor:
    """The generator's side: the scores of made waves as high as can be."""
    return torch.stack([-m.scores.mean() for m in made]).sum()


class Game(NamedTuple):
    """The losses of both sides."""

    discriminator: Callable[[Sequence[Judgement], Sequence[Judgement]], Tensor]
    generator: Callable[[Sequence[Judgement]], Tensor]


GAMES: Mapping[str, Game] = {
    "lsgan": Game(discriminator_loss, adversarial_loss),
    "hinge": Game(hinge_discriminator_loss, hinge_adversarial_loss),
}
"""By name."""
