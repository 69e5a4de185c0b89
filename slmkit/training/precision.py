"""The number format in which this machine trains fastest without losing what it learns."""

from __future__ import annotations

import torch


def fast_precision() -> str:
    """Lightning's name of it: bfloat16 products where the hardware has them, else float32.

    Weights, sums and the optimizer stay in float32 either way. Processors multiply bfloat16 twice
    as fast as float32 and more where they have instructions for it (AMX, AVX512-BF16), and more
    slowly where they have none.
    """
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    native = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16-mixed" if native else "32-true"
