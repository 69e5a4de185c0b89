"""Places of an example's steps where its text, a prefix, and what follows are numbered apart.

Letters: b (row), l (step).
"""

from __future__ import annotations

import torch
from torch import Tensor

from slmkit.api import MisfitError, State
from slmkit.codecs.cache import Chunk


def lengths_of(prefix: Tensor, positions: Tensor) -> Tensor:
    """For each step, how long the prefix of its own example is (in a prefix: as far as the step).

    `prefix` bool [b, l]; `positions` int64 [b, l], beginning anew with each example.
    """
    counted = prefix.long().cumsum(dim=1)
    starts = torch.arange(prefix.shape[1], device=prefix.device) - positions
    before = counted.gather(1, starts) - prefix.gather(1, starts).long()
    # within a prefix its end is not counted yet, which `positions < lengths` does not need
    return torch.where(prefix, positions + 1, counted - before)


def places(positions: Tensor, lengths: Tensor, stride: float) -> Tensor:
    """Float [b, l]: both parts begin at 0; from a symbol of the text to the next it is `stride`.

    Where that is as many steps as a symbol lasts, what is said stands where its text stands
    (progress of text and speech on one axis: VoiceStar, Peng et al. 2025).
    """
    return torch.where(positions < lengths, positions * stride, (positions - lengths).float())


def remember(state: State, at: Chunk, prefix: Tensor) -> State:
    """A cache's state, which holds in `prefix` int64 [b] how long each row's is, with those that
    come with a chunk, bool [b, l]. Raises MisfitError for one that comes later than its row."""
    counts = (prefix & (at.slots > 0)).sum(dim=1)
    if bool(((state["position"] > 0) & (counts > 0)).any()):
        raise MisfitError(
            "a prefix comes whole, with the first steps of its row: it is numbered by itself"
        )
    return {**state, "prefix": state["prefix"] + counts}
