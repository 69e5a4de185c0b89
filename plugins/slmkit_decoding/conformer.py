"""A conformer block (Gulati et al. 2020) with rotary positions, as SoundStorm's network has them.

Letters: b (batch), n (frame), d (width), h (head), w (width of a head).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KERNEL = 31
"""Frames that the convolution sees."""

EXPANSION = 4


class Conformer(nn.Module):
    """Half a feed-forward network, attention, convolution, and the other half.

    Nothing that lies behind a row's end reaches it: attention is masked and the convolution reads
    zeros there, as it does where the row is alone.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.before, self.after = FeedForward(width, dropout), FeedForward(width, dropout)
        self.attention = Attention(width, heads)
        self.convolution = Convolution(width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        """[b, n, d] with `real` bool [b, n] to the same."""
        x = torch.add(x, self.before(x), alpha=0.5)
        x = x + self.dropout(self.attention(x, real))
        x = x + self.dropout(self.convolution(x, real))
        x = torch.add(x, self.after(x), alpha=0.5)
        normed: Tensor = self.norm(x)
        return normed


class FeedForward(nn.Sequential):
    """Norm, up, swish, down."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__(
            nn.LayerNorm(width),
            nn.Linear(width, EXPANSION * width),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(EXPANSION * width, width),
            nn.Dropout(dropout),
        )


class Attention(nn.Module):
    """Attention both ways, with rotary positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.outward = nn.Linear(width, width)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        b, n, d = x.shape
        q, k, v = (
            self.qkv(self.norm(x))
            .unflatten(-1, (3, self.heads, d // self.heads))
            .permute(2, 0, 3, 1, 4)
        )
        mask = real[:, None, None]
        mixed = F.scaled_dot_product_attention(rotate(q), rotate(k), v, attn_mask=mask)
        out: Tensor = self.outward(mixed.transpose(1, 2).reshape(b, n, d))
        return out


class Convolution(nn.Module):
    """Gated pointwise convolution, depthwise convolution over time, pointwise convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inward = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2, groups=width)
        self.between = nn.LayerNorm(width)
        self.outward = nn.Linear(width, width)

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        gated = F.glu(self.inward(self.norm(x)), dim=-1) * real[..., None]
        out: Tensor = self.outward(F.silu(self.between(self._over_time(gated))))
        return out

    def _over_time(self, x: Tensor) -> Tensor:
        """The depthwise convolution of [b, n, d], in two dimensions with the channels last, as they
        lie here: on a CPU that takes a thirtieth of the time of one dimension."""
        weight, bias = self.depthwise.weight, self.depthwise.bias
        plane = x.transpose(1, 2)[:, :, None]
        mixed = F.conv2d(
            plane, weight[:, :, None], bias, padding=(0, KERNEL // 2), groups=len(weight)
        )
        return mixed[:, :, 0].transpose(1, 2)


def rotate(x: Tensor) -> Tensor:
    """Queries or keys [b, h, n, w] turned by their position (Su et al. 2021)."""
    half = x.shape[-1] // 2
    rates = 10000.0 ** (-torch.arange(half, device=x.device) / half)
    angles = torch.arange(x.shape[-2], device=x.device)[:, None] * rates
    cos, sin = angles.cos().to(x), angles.sin().to(x)
    one, two = x.chunk(2, dim=-1)
    return torch.cat([one * cos - two * sin, two * cos + one * sin], dim=-1)
