"""A layer of `Llama` as generation calls it: few steps, and few calls a step.

What queries, keys and values read is one product, and so is what gate and up read.

Letters: b (batch), l (step), d (width), h (head), w (width of a head), r (step in the cache).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention, silu

from slmkit.api import State
from slmkit.codecs import cache
from slmkit.codecs.joined import joined

if TYPE_CHECKING:
    from slmkit_llama.model import Block


class Turn:
    """Where a chunk of steps goes, and the angles by which its heads are turned; the same for all
    layers.

    Attributes:
        at: see `slmkit.codecs.cache`.
        cos, sin: [b, l, 1, w], for both halves of a head; the first half's sines are negative.
        mask: what is added to the scores [b, 1, l, r], or nothing.
    """

    def __init__(self, at: cache.Chunk, cos: Tensor, sin: Tensor, dtype: torch.dtype) -> None:
        self.at, self.mask = at, at.mask(dtype)
        self.cos = torch.cat((cos, cos), dim=-1)[:, :, None].to(dtype)
        self.sin = torch.cat((-sin, sin), dim=-1)[:, :, None].to(dtype)

    def __call__(self, heads: Tensor) -> Tensor:
        """Heads [b, l, h, w], turned."""
        swapped = heads.roll(heads.shape[-1] // 2, -1)
        return torch.addcmul(heads * self.cos, swapped, self.sin)


class Stepper:
    """One layer, step by step, with the weights that its block has at the moment."""

    def __init__(self, block: Block) -> None:
        attention, mlp = block.self_attn, block.mlp
        self.before_attention, self.before_mlp = (
            block.input_layernorm,
            block.post_attention_layernorm,
        )
        self.qkv = joined([attention.q_proj, attention.k_proj, attention.v_proj])
        self.outward, self.down = attention.o_proj, mlp.down_proj
        self.gate_up = joined([mlp.gate_proj, mlp.up_proj])
        self.heads, self.kv_heads = attention.heads, attention.kv_heads
        self.head_width = attention.head_width

    def __call__(self, x: Tensor, state: State, layer: int, turn: Turn) -> Tensor:
        """Steps [b, l, d] behind what the cache holds; [b, l, d]."""
        x = x + self.outward(self._mixed(self.qkv(self.before_attention(x)), state, layer, turn))
        gate, up = self.gate_up(self.before_mlp(x)).chunk(2, dim=-1)
        return self.down(silu(gate).mul_(up)).add_(x)

    def _mixed(self, qkv: Tensor, state: State, layer: int, turn: Turn) -> Tensor:
        heads = qkv.unflatten(-1, (self.heads + 2 * self.kv_heads, self.head_width))
        turned = turn(heads[:, :, : self.heads + self.kv_heads]).transpose(1, 2)
        values = heads[:, :, self.heads + self.kv_heads :].transpose(1, 2)
        queries, keys = turned[:, : self.heads], turned[:, self.heads :]
        keys, values = cache.append(state, layer, keys, values, turn.at)
        queries, mask, each = queries.to(keys.dtype), turn.mask, self.heads // self.kv_heads
        if each > 1:
            # the queries that share a key stand as further steps: the cache is never repeated
            queries = queries.unflatten(1, (self.kv_heads, each)).flatten(2, 3)
            mask = None if mask is None else mask.repeat(1, 1, each, 1)
        mixed = scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        if each > 1:
            mixed = mixed.unflatten(2, (each, qkv.shape[1])).flatten(1, 2)
        return mixed.transpose(1, 2).flatten(2)
