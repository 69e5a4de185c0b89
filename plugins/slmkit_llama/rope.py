"""Rotary position embedding (RoFormer, Su et al. 2021), in Hugging Face's order of a head.

The first half of a head pairs with its second half, so that Hugging Face's weights load as they
are. Letters: b (batch), h (head), l (step), w (width of a head).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from slmkit.api import WeightsError


@dataclass(frozen=True)
class Llama3Scaling:
    """Llama 3.1's stretch for longer contexts (Grattafiori et al. 2024).

    Waves longer than `original / low` steps are slowed by `factor`, those shorter than
    `original / high` stay, and those between are blended.
    """

    factor: float
    low: float
    high: float
    original: int


def scaling_of(rope: Mapping[str, Any], where: str) -> Llama3Scaling | None:
    """The stretch that a config asks for. Raises WeightsError for types not computed here."""
    kind = rope.get("rope_type", rope.get("type", "default"))
    if rope.get("partial_rotary_factor", 1.0) != 1.0:
        raise WeightsError(f"{where}: partially rotated heads are not supported")
    if kind == "default":
        return None
    if kind != "llama3":
        raise WeightsError(f"{where}: rope scaling '{kind}' is not supported, only 'llama3'")
    return Llama3Scaling(
        factor=rope["factor"],
        low=rope["low_freq_factor"],
        high=rope["high_freq_factor"],
        original=rope["original_max_position_embeddings"],
    )


def frequencies(width: int, theta: float, scaling: Llama3Scaling | None) -> Tensor:
    """Radians a step of each pair [w/2]."""
    plain = 1.0 / theta ** (torch.arange(0, width, 2).float() / width)
    if scaling is None:
        return plain
    waves = scaling.original * plain / (2 * math.pi)
    keep = ((waves - scaling.low) / (scaling.high - scaling.low)).clamp(0, 1)
    return plain * keep + plain / scaling.factor * (1 - keep)


def angles(positions: Tensor, per_step: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines and sines [.., l, w/2] at positions [.., l]."""
    turned = positions[..., None].float() * per_step
    return turned.cos(), turned.sin()


class Rotate(torch.autograd.Function):
    """Turn heads x [b, h, l, w] by angles given as cos and sin, broadcast to [b, h, l, w/2].

    A rotation's gradient is the rotation back, so nothing of x has to be kept.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return turn(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        return turn(gradients[0], cos, -sin), None, None


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The rotation itself, written half by half into one new tensor."""
    first, second = x.chunk(2, dim=-1)
    if torch.compiler.is_compiling():
        # compilers fuse this by themselves, and know no products written into views
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
    turned = torch.empty_like(x)
    to_first, to_second = turned.chunk(2, dim=-1)
    torch.mul(first, cos, out=to_first).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=to_second).addcmul_(first, sin)
    return turned
