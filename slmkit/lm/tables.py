"""The embeddings of all streams as one table, for generation: a step looks up all at once.

Letters: b (batch), s (stream), l (step), d (width), v (vocabulary), a (rows of all tables).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slmkit.codecs.joined import end_to_end
from slmkit.lm.alphabet import Alphabet
from slmkit.lm.layouts import NOTHING


@dataclass(frozen=True)
class Tables:
    """A `SpeechLM`'s embeddings in one piece of memory.

    Attributes:
        rows: [a + 1, d], the embeddings' own memory, and zeros for NOTHING.
        places: int64 [s, v + 1], the row of each token in each stream.
    """

    rows: Tensor
    places: Tensor

    @classmethod
    def of(
        cls, alphabets: Sequence[Alphabet], tables: Sequence[nn.Module], nothing: Tensor
    ) -> Tables | None:
        """`nothing` [1, d] are zeros. None where one stream's table says it all, or where the
        tables are not on a CPU."""
        if len(tables) == 1 or nothing.device.type != "cpu":
            return None
        rows = end_to_end([*(table.weight for table in tables), nothing])  # type: ignore[list-item]
        places, start = [], 0
        for alphabet in alphabets:
            own = alphabet.places
            places.append(torch.where(own == NOTHING, len(rows) - 1, own + start))
            start += alphabet.size
        return cls(rows, torch.stack(places))

    def __call__(self, tokens: Tensor) -> Tensor:
        """Tokens [b, s, l] to the sum of their streams' embeddings [b, l, d]."""
        streams = torch.arange(len(self.places))[:, None]
        return F.embedding(self.places[streams, tokens], self.rows).sum(dim=1)
