"""Attention of a prefix LM: the prefix sees itself both ways, what follows sees it and its past.

Letters: b (batch), h (head), l (step), w (width of a head), e (example), n (step of an example).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from slmkit.codecs.packed_attention import Gather, Groups, Return, own_example


@dataclass(frozen=True, eq=False)
class Whole:
    """Rows that each hold one example; what is not seen is -inf in `bias` [b, 1, l, l]."""

    bias: Tensor

    @classmethod
    def of(cls, prefix: Tensor, dtype: torch.dtype) -> Whole:
        """`prefix` bool [b, l]."""
        return cls(bias_of(both_ways(prefix), dtype))

    @classmethod
    def apart(cls, prefix: Tensor, positions: Tensor, dtype: torch.dtype) -> Whole:
        """Several examples in a row, none of which sees another."""
        numbers = (positions == 0).cumsum(dim=1)
        same = (numbers[:, :, None] == numbers[:, None])[:, None]
        return cls(bias_of(own_example(positions) | (both_ways(prefix) & same), dtype))

    def __call__(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Each step's mixture [b, h, l, w] of the values that it sees."""
        return biased_attention(queries, keys, values, self.bias)


@dataclass(frozen=True, eq=False)
class Packed:
    """Examples end to end in a row, attended to in groups of like length.

    Attributes:
        groups: see `slmkit.codecs.packed_attention`.
        biases: of each group, [e, 1, n, n].
    """

    groups: Groups
    biases: tuple[Tensor, ...]

    @classmethod
    def of(cls, prefix: Tensor, positions: Tensor, dtype: torch.dtype) -> Packed:
        """`prefix` bool and `positions` int64, both [b, l]."""
        groups = Groups.of(positions)
        flags = prefix.reshape(-1)[groups.there]
        # an example's last step stands again behind its end, where nobody may see it
        flags[groups.spare] = False
        parts = flags.split([examples * steps for examples, steps in groups.sizes])
        shaped = zip(parts, groups.sizes, strict=True)
        return cls(
            groups,
            tuple(bias_of(both_ways(part.unflatten(0, size)), dtype) for part, size in shaped),
        )

    def __call__(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Each step's mixture [b, h, l, w] of the values of its example that it sees."""
        batch, steps = queries.shape[0], queries.shape[2]
        counts = [examples * longest for examples, longest in self.groups.sizes]
        parted = [
            Gather.apply(tensor.transpose(1, 2).flatten(0, 1), self.groups).split(counts)
            for tensor in (queries, keys, values)
        ]
        mixed = []
        for size, bias, *some in zip(self.groups.sizes, self.biases, *parted, strict=True):
            q, k, v = (each.unflatten(0, size).transpose(1, 2) for each in some)
            mixed.append(biased_attention(q, k, v, bias).transpose(1, 2).flatten(0, 1))
        together: Tensor = Return.apply(torch.cat(mixed), self.groups)
        return together.unflatten(0, (batch, steps)).transpose(1, 2)


def both_ways(prefix: Tensor) -> Tensor:
    """Bool [b, 1, l, l]: whether a step sees another, of steps of which some are prefix [b, l]."""
    steps = prefix.shape[1]
    past = torch.ones(steps, steps, dtype=torch.bool, device=prefix.device).tril()
    return (past | (prefix[:, :, None] & prefix[:, None]))[:, None]


def bias_of(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """What is added to scores of the same shape."""
    return torch.zeros_like(seen, dtype=dtype).masked_fill_(~seen, -torch.inf)


def biased_attention(queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
    """Attention [b, h, l, w] with something added to the scores.

    PyTorch's fused kernel, except to train in bfloat16 on a CPU, where its backward pass is slow
    (see `slmkit.codecs.attention`).
    """
    training = torch.is_grad_enabled() and queries.requires_grad
    if training and queries.device.type == "cpu" and queries.dtype == torch.bfloat16:
        scores = queries @ keys.transpose(-2, -1) / math.sqrt(queries.shape[-1])
        return (scores + bias).softmax(dim=-1).to(values.dtype) @ values
    return scaled_dot_product_attention(queries, keys, values, attn_mask=bias.to(queries.dtype))
