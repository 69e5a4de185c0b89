"""The laws of speaker encoders. Letters: b (batch), n (sample), d (width)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from slmkit.api import AudioError, SpeakerEncoder

TOLERANCE = 1e-4


def speaker_encoder_laws(make: Callable[[], SpeakerEncoder], folder: Path) -> None:
    """Hold a speaker encoder to its contract; `make` builds it, the same each time but for weights
    that are drawn at random. Raises AssertionError, which says what is broken.
    """
    part = make()
    wav, lengths = _voices(part.sample_rate)
    vectors = part.embed(wav, lengths)
    assert vectors.shape == (len(wav), part.width), f"vectors are [b, {part.width}]"
    _close(vectors.norm(dim=1), torch.ones(len(wav)), "vectors are of length 1")
    assert torch.equal(part.embed(wav, lengths), vectors), "the same sound gives the same vector"
    beyond = torch.arange(wav.shape[1]) >= lengths[:, None]
    dirty = torch.cat([torch.where(beyond, 0.3, wav), torch.full((len(wav), 999), 0.5)], dim=1)
    _close(part.embed(dirty, lengths), vectors, "what lies in the padding must not count")
    for row, length in enumerate(lengths.tolist()):
        alone = part.embed(wav[row : row + 1, :length], lengths[row : row + 1])
        _close(alone[0], vectors[row], f"row {row} alone differs from the batch")
    broken = wav.clone()
    broken[1, 5] = torch.nan
    assert _refuses(part, broken, lengths), "samples that are not finite must raise AudioError"
    none = lengths.clone()
    none[0] = 0
    assert _refuses(part, wav, none), "an utterance of no samples must raise AudioError"
    part.save(folder)
    restored = make()
    restored.restore(folder)
    _close(restored.embed(wav, lengths), vectors, "saved and restored, it answers otherwise")


def _close(found: Tensor, expected: Tensor, fault: str) -> None:
    apart = float((found - expected).abs().max())
    assert apart <= TOLERANCE, f"{fault} (by {apart:g})"


def _refuses(part: SpeakerEncoder, wav: Tensor, lengths: Tensor) -> bool:
    try:
        part.embed(wav, lengths)
    except AudioError:
        return True
    return False


def _voices(sample_rate: int) -> tuple[Tensor, Tensor]:
    """Three hummed vowels, loud and soft by turns, of different lengths: (wav [b, n], lengths)."""
    lengths = torch.tensor([sample_rate * 2, sample_rate + 13, sample_rate * 3 // 2 - 1])
    time = torch.arange(int(lengths.max())) / sample_rate
    harmonics = torch.arange(1, 20)[:, None] * time
    voices = []
    for pitch, formant in ((110, 500), (160, 700), (220, 900)):
        weights = torch.exp(-(((torch.arange(1, 20) * pitch - formant) / 400) ** 2))[:, None]
        voices.append((weights * torch.sin(2 * torch.pi * pitch * harmonics)).sum(dim=0))
    wav = 0.1 * torch.stack(voices) * (1 + torch.sin(2 * torch.pi * 4 * time))
    return wav * (torch.arange(wav.shape[1]) < lengths[:, None]), lengths
