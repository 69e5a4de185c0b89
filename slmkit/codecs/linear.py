"""A linear map for inference, by the matrix product that is fast where it runs.

Letters: f (frame), d (width of the input), e (width of the output).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def packed(weight: Tensor) -> Tensor:
    """The same matrix as a tensor of oneDNN, where it is float32 on a CPU and oneDNN is there.

    PyTorch multiplies float32 matrices on a CPU by MKL, which runs at half speed on processors
    that are not Intel's; a tensor of oneDNN goes to oneDNN, which runs at full speed on both.
    """
    able = weight.device.type == "cpu" and weight.dtype == torch.float32
    if weight.is_mkldnn or not able or not torch.backends.mkldnn.is_available():
        return weight
    return weight.to_mkldnn()


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [f, d] by a `packed` weight [e, d], and a bias [e]: [f, e].

    A row of oneDNN's product comes out the same to the last bit whatever other rows there are, as
    long as there are any: one alone is doubled.
    """
    if not weight.is_mkldnn:
        return F.linear(x, weight, bias)
    if len(x) == 1:
        return product(x.expand(2, -1), weight, bias)[:1]
    # the operator of compiled models takes and gives plain tensors, where F.linear copies both
    made: Tensor = torch.ops.mkldnn._linear_pointwise(x.contiguous(), weight, bias, "none", [], "")
    return made


class FrozenLinear(nn.Module):
    """A linear map that is not trained, with weight [e, d] and bias [e].

    Its tensors are no parameters: they are neither saved nor trained, and move with the module.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self._weight = packed(weight.detach())
        self._bias = None if bias is None else bias.detach()

    @classmethod
    def of(cls, *layers: nn.Linear) -> FrozenLinear:
        """The maps of several layers from the same input, their outputs side by side."""
        biases = [layer.bias for layer in layers if layer.bias is not None]
        weight = torch.cat([layer.weight for layer in layers])
        return cls(weight, torch.cat(biases) if biases else None)

    def forward(self, x: Tensor) -> Tensor:
        """[f, d] -> [f, e]."""
        return product(x, self._weight, self._bias)

    def __deepcopy__(self, memo: dict[int, object]) -> FrozenLinear:
        # a tensor of oneDNN cannot be copied
        bias = None if self._bias is None else self._bias.clone()
        return FrozenLinear(_plain(self._weight), bias)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FrozenLinear:
        super()._apply(fn, recurse)
        self._weight = packed(fn(_plain(self._weight)))
        self._bias = None if self._bias is None else fn(self._bias)
        return self


def _plain(tensor: Tensor) -> Tensor:
    return tensor.to_dense() if tensor.is_mkldnn else tensor
