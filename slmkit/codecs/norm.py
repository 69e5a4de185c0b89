"""RMSNorm (Zhang & Sennrich 2019), written for a CPU.

Letters: d (width), .. (any leading dimensions).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class RMSNorm(nn.RMSNorm):
    """As `torch.nn.RMSNorm`; on a CPU its gradient is computed in fewer passes over memory, and
    under autocast the result is cast once for all the projections that read it."""

    eps: float

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__(width, eps=eps)
        self._floor = torch.tensor([eps])

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or torch.compiler.is_compiling():
            return super().forward(x)
        if not torch.is_grad_enabled():
            return self._normalized(x)
        autocast = torch.is_autocast_enabled("cpu")
        dtype = torch.get_autocast_dtype("cpu") if autocast else x.dtype
        normed: Tensor = Normalize.apply(x, self.weight, self.eps, dtype)
        return normed

    def _normalized(self, x: Tensor) -> Tensor:
        """Half the calls of PyTorch's own, which count where there are few rows."""
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        scale = torch.addcmul(self._floor, norm, norm, value=1 / x.shape[-1]).rsqrt_()
        return (x * scale).mul_(self.weight).to(x.dtype)


class Normalize(torch.autograd.Function):
    """x [.., d] by its root mean square, times weight [d], as a tensor of `dtype`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, dtype: torch.dtype) -> Tensor:
        wide = x.float()
        norm = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        scale = norm.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, weight, scale)
        return (wide * scale).mul_(weight).to(dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, weight, scale = ctx.saved_tensors
        gradient, unit = gradients[0].float(), x.float() * scale
        along = gradient * unit
        to_weight = along.flatten(0, -2).sum(0)
        # What would only lengthen x changes nothing behind the norm: it is taken out.
        lengthening = (along @ weight.float()).div_(-x.shape[-1])[..., None]
        to_x = torch.addcmul(gradient * weight, unit, lengthening).mul_(scale)
        return to_x.to(x.dtype), to_weight.to(weight.dtype), None, None
