"""What the tests of codecs share: references with lively random weights, and when codes agree.

As a reference is built, its weights let little of the sound through and its codebooks are empty;
codes of such a model prove nothing.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor, nn

from slmkit.codecs.quantizer import ResidualQuantizer

TIE = 1e-5
"""Two entries whose distances differ by less, relatively, are equally near."""
LEAST_USED = 50
"""Entries of each codebook that a sound must use to prove anything."""


@torch.no_grad()
def liven(model: nn.Module, wav: Tensor, gain: float = 1.8) -> nn.Module:
    """Raise the weights of encoder and decoder so that sound goes through; fill the codebooks."""
    for name, weight in model.named_parameters():
        if name.endswith(("weight_g", "weight_original0", "original0", "conv.weight")):
            weight.mul_(gain)
        elif name.endswith("bias") and "norm" not in name:
            weight.mul_(0.1)
    return fill(model, wav)


@torch.no_grad()
def fill(model: nn.Module, wav: Tensor) -> nn.Module:
    """Give the codebooks entries about where the latents of this wav [b, c, n] lie."""
    latents = model.encoder(wav)
    left = latents.transpose(1, 2).reshape(-1, latents.shape[1])
    for name, buffer in model.named_buffers():
        if name.endswith("embed"):
            buffer.copy_(left.mean(0) + 0.7 * left.std(0) * torch.randn_like(buffer))
            left = left - buffer[torch.cdist(left, buffer).argmin(dim=-1)]
        elif name.endswith("inited"):
            buffer.fill_(1)
    return model.eval()


def assert_codes_agree(
    ours: Tensor, theirs: Tensor, latents: Tensor, quantizer: ResidualQuantizer, lively: bool = True
) -> None:
    """Codes [b, k, t] are equal, save that one frame may lie between two entries that are equally
    near; and every codebook is in use."""
    assert ours.shape == theirs.shape
    if lively:
        used = [len(ours[:, book].unique()) for book in range(ours.shape[1])]
        assert min(used) >= LEAST_USED, f"the codebooks use {used} entries"
    ties = 0
    for row, frame in (ours != theirs).any(dim=1).nonzero().tolist():
        book = int((ours[row, :, frame] != theirs[row, :, frame]).nonzero()[0])
        left = latents[row, :, frame].double()
        for before, code in enumerate(ours[row, :book, frame].tolist()):
            left = left - quantizer.entries[before, code]
        distances = (left - quantizer.entries[book].double()).square().sum(dim=-1)
        first, second = distances.topk(2, largest=False).values.tolist()
        assert second - first <= TIE * first, (
            f"row {row}, frame {frame} differs from codebook {book}"
        )
        ties += 1
    assert ties <= 1, f"{ties} frames differ"


def noise(rows: int, channels: int, samples: int, seed: int) -> Tensor:
    """Swelling noise [b, c, n]."""
    draw = torch.Generator().manual_seed(seed)
    swell = torch.sin(torch.arange(samples) / 3000.0).square() + 0.05
    return torch.randn(rows, channels, samples, generator=draw) * swell / 4


def spoken(folder: Path, sample_rate: int, seconds: float) -> Tensor:
    """Recorded speech [1, 1, n] at this rate."""
    path = sorted((folder / "read_ljspeech").rglob("*.flac"))[0]
    wav, rate = soundfile.read(path, dtype="float32", always_2d=True)
    wav = soxr.resample(wav[:, 0], rate, sample_rate)[: int(seconds * sample_rate)]
    return torch.from_numpy(np.ascontiguousarray(wav))[None, None]


def encodec_model(encodec: ModuleType, variant: str) -> Any:
    """Meta's package's model of random weights."""
    torch.manual_seed(0)
    build = getattr(encodec.EncodecModel, f"encodec_model_{variant}")
    model = build(pretrained=False)
    return liven(model, noise(4, model.channels, model.sample_rate, 9))
