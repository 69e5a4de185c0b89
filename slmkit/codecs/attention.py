"""Causal self-attention, by the kernel that is fast where it runs.

Letters: b (batch), h (head), l (step), w (width of a head).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def causal_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Each step's mixture [b, h, l, w] of the values up to itself; all three are [b, h, l, w].

    PyTorch's fused kernel, except to train in bfloat16 on a CPU: there its backward pass takes
    three times as long as the plain matrix products.
    """
    training = torch.is_grad_enabled() and queries.requires_grad
    if training and queries.device.type == "cpu" and queries.dtype == torch.bfloat16:
        return plain_causal_attention(queries, keys, values)
    return scaled_dot_product_attention(queries, keys, values, is_causal=True)


def plain_causal_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """The same, spelt out: it keeps the scores [b, h, l, l]."""
    batch, heads, steps, width = queries.shape
    future = queries.new_full((steps, steps), -torch.inf).triu(1)
    flat = [tensor.flatten(0, 1) for tensor in (queries, keys, values)]
    scale = 1 / math.sqrt(width)
    scores = torch.baddbmm(future, flat[0], flat[1].transpose(1, 2), alpha=scale)
    return torch.bmm(scores.softmax(dim=-1), flat[2]).view(batch, heads, steps, width)
