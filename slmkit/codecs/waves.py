"""What every tokenizer asks of the waves that it is given. Letters: b (batch), n (sample)."""

from __future__ import annotations

import torch
from torch import Tensor

from slmkit.api import AudioError


def check_waves(wav: Tensor, lengths: Tensor) -> None:
    """Raise AudioError where `wav` is not [b, n] with `lengths` [b] of at least one sample each, or
    a sample within them is not a finite number. What lies beyond them is not looked at.
    """
    if wav.dim() != 2 or lengths.shape != wav.shape[:1]:
        raise AudioError(
            f"expected waves [batch, samples] with lengths [batch], got {list(wav.shape)} and "
            f"{list(lengths.shape)}"
        )
    if wav.shape[0] == 0 or int(lengths.min()) < 1:
        raise AudioError("an utterance of no samples has no codes")
    if int(lengths.max()) > wav.shape[1]:
        raise AudioError(f"lengths up to {int(lengths.max())} in waves of {wav.shape[1]} samples")
    real = torch.arange(wav.shape[1], device=wav.device) < lengths[:, None].to(wav.device)
    broken = ((~torch.isfinite(wav)) & real).any(dim=1)
    if broken.any():
        row = int(broken.nonzero()[0])
        raise AudioError(f"the wave of row {row} holds samples that are not finite numbers")
