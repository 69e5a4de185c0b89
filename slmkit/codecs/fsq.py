"""Finite scalar quantization: each of a few numbers is rounded to one of a few levels.

Mentzer et al. 2023. There is nothing to learn, and no entry that nobody uses.

Letters: b (batch), d (width), t (frame).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

MARGIN = 1e-3
"""What is rounded reaches beyond the outermost levels by this part, so that all are reached."""


class FiniteScalarQuantizer(nn.Module):
    """Latents of as many numbers as there are `levels`, each rounded to one of that many values.

    The values lie evenly in -1..1; an even count has one more below zero than above. A code is the
    values' places read as digits, the first number's the lowest.
    """

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        if not levels or min(levels) < 2:
            raise ValueError(f"levels {list(levels)}: every number takes at least 2 values")
        self.levels = tuple(levels)
        self.size = math.prod(self.levels)
        places = [math.prod(self.levels[:index]) for index in range(len(self.levels))]
        self.counts: Tensor
        self.places: Tensor
        self.register_buffer("counts", torch.tensor(self.levels), persistent=False)
        self.register_buffer("places", torch.tensor(places), persistent=False)

    def forward(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """(quantized [b, d, t] in -1..1, codes int64 [b, t]) of latents [b, d, t].

        The gradient goes straight through the rounding, and is that of the bound around it.
        """
        bound = self._bounded(latents.transpose(1, 2))
        rounded = bound + (bound.round() - bound).detach()
        half = self.counts // 2
        codes = ((rounded.detach().long() + half) * self.places).sum(dim=-1)
        return (rounded / half).transpose(1, 2), codes

    def encode(self, latents: Tensor) -> Tensor:
        """Codes int64 [b, t] of latents [b, d, t]."""
        return self(latents)[1]

    def decode(self, codes: Tensor) -> Tensor:
        """The quantized latents [b, d, t] that codes [b, t] stand for."""
        digits = codes[..., None] // self.places % self.counts
        half = self.counts // 2
        return ((digits - half) / half).transpose(1, 2)

    def _bounded(self, latents: Tensor) -> Tensor:
        """Latents [.., d] squeezed to where rounding gives as many values as there are levels."""
        reach = (self.counts - 1) * (1 + MARGIN) / 2
        offset = torch.where(self.counts % 2 == 0, 0.5, 0.0)
        shift = (offset / reach).atanh()
        return (latents + shift).tanh() * reach - offset
