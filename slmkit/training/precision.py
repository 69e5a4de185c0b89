"""The number format in which this machine trains fastest without losing what it learns."""

from __future__ import annotations

import torch


def fast_precision() -> str:
    """Lightning's name of it: bfloat16 products where the hardware has them, else float32.

    Weights, sums and the optimizer stay in float32 either way. A processor without bfloat16 units
    (AMX) computes them more slowly than float32.
    """
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    return "bf16-mixed" if torch.cpu._is_amx_tile_supported() else "32-true"
