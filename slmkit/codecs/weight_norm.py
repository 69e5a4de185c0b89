"""Weight norm as checkpoints hold it: `weight_g` and `weight_v` in the place of a weight.

w = g * v / |v|, the norm taken over all dimensions but the first (Salimans and Kingma 2016). For a
transposed convolution the first dimension is the *input* channel. torch's newer parametrizations
call g and v `parametrizations.weight.original0` and `original1`; both spellings are read.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

CONVOLUTIONS = (nn.Conv1d, nn.ConvTranspose1d, nn.Conv2d)
SPELLINGS = (
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)


def fold(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict in which each pair of g and v is the weight that they stand for, float32.

    A g or v without the other stays as it is, for whoever loads the state to refuse.
    """
    folded = dict(state)
    for g_name, v_name in SPELLINGS:
        for name in [name for name in state if name.endswith(v_name)]:
            stem = name.removesuffix(v_name)
            if stem + g_name in state:
                v, g = folded.pop(name).float(), folded.pop(stem + g_name).float()
                folded[stem + "weight"] = v * (g / _norm(v).clamp(min=1e-12))
    return folded


def unfold(state: Mapping[str, Tensor], names: set[str]) -> dict[str, Tensor]:
    """The inverse: the weights called `names` as g and v (v is the weight, g its norm)."""
    unfolded: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name in names:
            unfolded[name + "_g"], unfolded[name + "_v"] = _norm(tensor), tensor
        else:
            unfolded[name] = tensor
    return unfolded


def convolution_weights(module: nn.Module) -> set[str]:
    """The names of all convolutions' weights in a module."""
    return {
        f"{name}.weight" for name, part in module.named_modules() if isinstance(part, CONVOLUTIONS)
    }


def add_weight_norm(module: nn.Module) -> None:
    """Train a module's convolutions under weight norm."""
    for part in module.modules():
        if isinstance(part, CONVOLUTIONS):
            parametrizations.weight_norm(part)


def remove_weight_norm(module: nn.Module) -> None:
    """Fold weight norm away again, leaving plain weights."""
    for part in module.modules():
        if isinstance(part, CONVOLUTIONS) and parametrize.is_parametrized(part, "weight"):
            parametrize.remove_parametrizations(part, "weight")


def _norm(v: Tensor) -> Tensor:
    return torch.linalg.vector_norm(v, dim=tuple(range(1, v.dim())), keepdim=True)
