"""Which ids of the vocabulary a stream may hold, numbered without gaps.

A stream of its own for each codebook needs neither rows nor scores for text or other codebooks.
Letters: v (ids of the vocabulary), a (ids of the stream).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from slmkit.lm.layouts import NOTHING


class Alphabet(nn.Module):
    """The way between a stream's ids (0..size-1) and the vocabulary's; NOTHING stays NOTHING.

    It grows as the vocabulary does, at its end, so that old rows keep their meaning.
    """

    def __init__(self, ranges: Sequence[range], vocabulary_size: int) -> None:
        super().__init__()
        ids = [index for each in sorted(ranges, key=lambda r: r.start) for index in each]
        self.size = len(ids)
        self.whole = self.size == vocabulary_size
        self.ids: Tensor
        self.places: Tensor
        self.register_buffer("ids", torch.tensor(ids, dtype=torch.int64), persistent=False)
        # one more entry at the end: NOTHING is -1, and looks up the last one
        places = torch.full((vocabulary_size + 1,), NOTHING)
        places[self.ids] = torch.arange(self.size)
        self.register_buffer("places", places, persistent=False)

    def local(self, tokens: Tensor) -> Tensor:
        """The vocabulary's ids as the stream's; NOTHING for those that it cannot hold."""
        return tokens if self.whole else self.places[tokens]

    def shared(self, tokens: Tensor) -> Tensor:
        """The stream's ids as the vocabulary's."""
        if self.whole:
            return tokens
        return torch.where(tokens == NOTHING, tokens, self.ids[tokens.clamp(min=0)])

    def mask(self, ranges: Sequence[range]) -> Tensor:
        """Bool [a]: which of the stream's ids lie in ranges of the vocabulary's."""
        found = torch.zeros(self.size, dtype=torch.bool, device=self.ids.device)
        for each in ranges:
            found |= (self.ids >= each.start) & (self.ids < each.stop)
        return found
