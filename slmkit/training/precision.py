"""The number format in which this machine trains fastest without losing what it learns."""

from __future__ import annotations

from pathlib import Path

import torch


def fast_precision() -> str:
    """Lightning's name of it: bfloat16 products where the hardware gains by them, else float32.

    Weights, sums and the optimizer stay in float32 either way. With AMX, and with AMD's
    AVX512-BF16, a processor multiplies bfloat16 twice as fast as float32 and more; Intel's
    AVX512-BF16 alone takes twice as long, because only one of its two units has the instruction.
    """
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    gains = torch.cpu._is_amx_tile_supported() or (
        torch.cpu._is_avx512_bf16_supported() and "AuthenticAMD" in _processor()
    )
    return "bf16-mixed" if gains else "32-true"


def _processor() -> str:
    """What Linux says of the processor; empty elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
