"""The head `linear`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from slmkit.api import Head, NoOptions
from slmkit.codecs.joined import joined


class Linear(nn.Module, Head):
    """Each stream's scores are one projection of the hidden state; streams are independent."""

    def __init__(self, options: NoOptions, width: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Linear(width, size, bias=False) for size in sizes)
        for projection in self.projections:
            nn.init.normal_(projection.weight, std=0.02)

    def logits(self, hidden: Tensor, tokens: Tensor) -> list[Tensor]:
        return [projection(hidden) for projection in self.projections]

    def sample(self, hidden: Tensor, pick: Callable[[Tensor, int], Tensor]) -> Tensor:
        sizes = [len(self.rows(stream)) for stream in range(len(self.projections))]
        scores = joined(list(self.projections))(hidden).split(sizes, dim=-1)
        return torch.stack([pick(each, s) for s, each in enumerate(scores)], dim=1)

    def rows(self, stream: int) -> Tensor:
        """The weights [v, d] of a stream, a row for each token."""
        weight: Tensor = self.projections[stream].weight
        return weight
