"""HuBERT's transformer over the real frames of several waves, laid end to end.

No frame is padding: what works on each frame by itself takes all of them at once, and what looks
around (the positional convolution, attention) takes each wave's own.
Letters: t (frame), d (width), h (head), w (width of a head), k (kernel).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slmkit.codecs.linear import FrozenLinear


class Encoder(nn.Module):
    """The first blocks of a HubertModel of transformers, as a function of frames [t, d]."""

    def __init__(self, hubert: Any, layers: int) -> None:
        super().__init__()
        encoder = hubert.encoder
        self.pre_norm: bool = hubert.config.do_stable_layer_norm
        self.position = PositionalConvolution(encoder.pos_conv_embed)
        self.norm = nn.Identity() if self.pre_norm else encoder.layer_norm
        self.blocks = nn.ModuleList(Block(each, self.pre_norm) for each in encoder.layers[:layers])

    def forward(self, rows: list[Tensor], mean: bool = False) -> list[Tensor]:
        """What the last block makes of each row [t, d]; no norm after it, as in fairseq. `mean`:
        the mean of that, of all blocks before it, and of what the first one is given."""
        x = self.norm(torch.cat([row + self.position(row) for row in rows]))
        lengths = [len(row) for row in rows]
        total = x
        for block in self.blocks:
            x = block(x, lengths)
            total = total + x if mean else x
        whole = total / (len(self.blocks) + 1) if mean else total
        return list(whole.split(lengths))


class PositionalConvolution(nn.Module):
    """A grouped convolution over the neighbours of each frame; zeros lie past both ends."""

    def __init__(self, embedding: Any) -> None:
        super().__init__()
        conv = embedding.conv
        # read once: transformers works the weight out from its norm at each call
        weight = conv.weight.detach()[:, :, None]
        self.weight: Tensor
        self.register_buffer("weight", weight.to(memory_format=torch.channels_last))
        self.bias: Tensor
        self.register_buffer("bias", conv.bias.detach())
        self.groups: int = conv.groups
        self.activation = embedding.activation

    def forward(self, x: Tensor) -> Tensor:
        """[t, d] -> [t, d]."""
        padding = (0, self.weight.shape[-1] // 2)
        found = F.conv2d(x.T[None, :, None], self.weight, self.bias, 1, padding, 1, self.groups)
        around: Tensor = self.activation(found[0, :, 0, : len(x)].T)
        return around


class Block(nn.Module):
    """Attention and feed-forward, each with a norm before it (large models) or after it (base)."""

    def __init__(self, layer: Any, pre_norm: bool) -> None:
        super().__init__()
        attention, feed = layer.attention, layer.feed_forward
        self.pre_norm = pre_norm
        self.heads: int = attention.num_heads
        self.looks = FrozenLinear.of(attention.q_proj, attention.k_proj, attention.v_proj)
        self.out = FrozenLinear.of(attention.out_proj)
        self.up = FrozenLinear.of(feed.intermediate_dense)
        self.activation = feed.intermediate_act_fn
        self.down = FrozenLinear.of(feed.output_dense)
        self.norm, self.final_norm = layer.layer_norm, layer.final_layer_norm

    def forward(self, x: Tensor, lengths: list[int]) -> Tensor:
        """Rows of these lengths end to end: [t, d] -> [t, d]."""
        if self.pre_norm:
            x = x + self._attend(self.norm(x), lengths)
            return x + self._feed(self.final_norm(x))
        x = self.norm(x + self._attend(x, lengths))
        found: Tensor = self.final_norm(x + self._feed(x))
        return found

    def _attend(self, x: Tensor, lengths: list[int]) -> Tensor:
        looks = self.looks(x).view(len(x), 3, self.heads, -1).permute(1, 2, 0, 3)
        mixed = [
            F.scaled_dot_product_attention(*(each[None] for each in row))[0]
            for row in looks.split(lengths, dim=2)
        ]
        heard: Tensor = self.out(torch.cat(mixed, dim=1).transpose(0, 1).reshape(len(x), -1))
        return heard

    def _feed(self, x: Tensor) -> Tensor:
        fed: Tensor = self.down(self.activation(self.up(x)))
        return fed
