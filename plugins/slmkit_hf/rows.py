"""What lets a model of transformers go on in rows that stand at different places.

transformers' own caches write all rows at one column. This one writes each row at its own next
step, and the masks are made here: a model takes masks of four dimensions as they are.
Letters: b (row), h (head), l (step), r (step in the cache), w (width of a head).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

from slmkit.api import MisfitError, State
from slmkit.codecs import cache

FULL, SLIDING = "full_attention", "sliding_attention"


class RowCache(Cache):
    """A state of `slmkit.codecs.cache`, where the layers of a model look for their cache."""

    def __init__(self, state: State, at: cache.Chunk) -> None:
        super().__init__(layers=[])
        self._state, self._at = state, at

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, ...]:
        """Write a layer's keys and values [b, h, l, w]; all up to now [b, h, r, w]."""
        return cache.append(self._state, layer_idx, key_states, value_states, self._at)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Steps before this chunk, in the row that is furthest."""
        return self._at.reach - self._at.slots.shape[1]

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        """Steps to look at, and where they begin."""
        return self._at.reach, 0


def kinds_of_attention(config: Any) -> set[str]:
    """How the layers of a model look back. Raises MisfitError for ways that are not masks."""
    kinds = set(getattr(config, "layer_types", None) or ())
    if not kinds:
        kinds = {SLIDING if getattr(config, "sliding_window", None) else FULL}
    strange = kinds - {FULL, SLIDING}
    if strange:
        raise MisfitError(
            f"backbone 'hf': '{config.model_type}' has layers of {', '.join(sorted(strange))}, "
            f"which cannot go on in rows of different lengths; take a model of plain attention"
        )
    return kinds


def masks(
    config: Any, mask: Tensor, columns: Tensor, dtype: torch.dtype
) -> Tensor | dict[str, Tensor]:
    """What is added to the scores [b, 1, l, r]: one mask, or one for each kind of layer where a
    model has both.

    `mask` bool [b, 1, l, r] says whether a step sees the r-th of its row, `columns` int64 [b, l]
    which of these it is itself.
    """
    made = {}
    for kind in kinds_of_attention(config):
        seen = mask
        if kind == SLIDING:
            others = torch.arange(mask.shape[-1], device=mask.device)
            near = others > columns[:, :, None] - config.sliding_window
            seen = seen & near[:, None]
        hidden = torch.zeros_like(seen, dtype=dtype)
        made[kind] = hidden.masked_fill(~seen, torch.finfo(dtype).min)
    return made if len(made) > 1 else made.popitem()[1]
