"""Causal self-attention within examples that lie end to end in the rows of a batch.

Letters: b (batch), h (head), l (step), w (width of a head), e (example), n (step of an example).
`positions` int64 [b, l] is the place of each step in its example: a new one begins at each 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from slmkit.codecs.attention import causal_attention

ALIKE = 0.8
"""Examples at least this fraction as long as the longest of a group attend side by side in it."""


def own_example(positions: Tensor) -> Tensor:
    """Bool [b, 1, l, l]: whether a step sees another: one of its own example, not after itself."""
    numbers = (positions == 0).cumsum(dim=1)
    same = numbers[:, :, None] == numbers[:, None]
    return same.tril()[:, None]


def masked_attention(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """Each step's mixture [b, h, l, w] of the values that a mask [b, 1, l, l] lets it see."""
    return scaled_dot_product_attention(queries, keys, values, attn_mask=mask)


@dataclass(frozen=True, eq=False)
class Groups:
    """Examples of like length side by side, so that none attends over all the others' steps.

    A batch of l steps in one row would score l^2 pairs under a mask; its examples by themselves
    score the squares of their own lengths.

    Attributes:
        sizes: for each group, its examples e and the steps n of the longest.
        there: int64 [sum of e * n], which of the batch's steps [b * l] stand in the groups; behind
            an example's end stands its last step again.
        spare: int64, the places in `there` of those repeated steps.
        back: int64 [b * l], where each step of the batch stands in the groups.
    """

    sizes: tuple[tuple[int, int], ...]
    there: Tensor
    spare: Tensor
    back: Tensor

    @classmethod
    def of(cls, positions: Tensor) -> Groups:
        """The groups of a batch whose rows each begin with an example."""
        flat = positions.detach().cpu().numpy().reshape(-1)
        starts = np.flatnonzero(flat == 0)
        lengths = np.diff(starts, append=len(flat))
        order = np.argsort(-lengths, kind="stable")
        falling = lengths[order]
        sizes, there, spare = [], [], []
        back = np.empty(len(flat), dtype=np.int64)
        first = placed = 0
        while first < len(order):
            longest = int(falling[first])
            stop = int(np.searchsorted(-falling, -ALIKE * longest, side="right"))
            chosen, own = order[first:stop], falling[first:stop, None]
            offsets = np.arange(longest)
            steps = starts[chosen][:, None] + np.minimum(offsets, own - 1)
            places = placed + np.arange(steps.size).reshape(steps.shape)
            real = offsets < own
            back[steps[real]] = places[real]
            there.append(steps.reshape(-1))
            spare.append(places[~real])
            sizes.append((len(chosen), longest))
            placed += steps.size
            first = stop
        found = (np.concatenate(there), np.concatenate(spare), back)
        return cls(tuple(sizes), *(torch.from_numpy(each).to(positions.device) for each in found))


def grouped_attention(queries: Tensor, keys: Tensor, values: Tensor, groups: Groups) -> Tensor:
    """As `masked_attention` under `own_example`, of the positions that the groups were made of."""
    batch, _, steps, _ = queries.shape
    counts = [examples * longest for examples, longest in groups.sizes]
    parted = []
    for tensor in (queries, keys, values):
        flat = tensor.transpose(1, 2).flatten(0, 1)
        parted.append(Gather.apply(flat, groups).split(counts))
    mixed = []
    for (examples, longest), *some in zip(groups.sizes, *parted, strict=True):
        q, k, v = (each.unflatten(0, (examples, longest)).transpose(1, 2) for each in some)
        mixed.append(causal_attention(q, k, v).transpose(1, 2).flatten(0, 1))
    together: Tensor = Return.apply(torch.cat(mixed), groups)
    return together.unflatten(0, (batch, steps)).transpose(1, 2)


class Gather(torch.autograd.Function):
    """Steps x [b * l, h, w] as they stand in groups.

    Its gradient is read back, not summed: a repeated step's is zero, since `Return` drops what
    comes of it and no real step sees it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, groups: Groups) -> Tensor:
        ctx.groups = groups
        return x.index_select(0, groups.there)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0].index_select(0, ctx.groups.back), None


class Return(torch.autograd.Function):
    """The inverse of `Gather`; repeated steps are dropped."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, groups: Groups) -> Tensor:
        ctx.groups = groups
        return x.index_select(0, groups.back)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        spread = gradients[0].index_select(0, ctx.groups.there)
        return spread.index_fill_(0, ctx.groups.spare, 0), None
