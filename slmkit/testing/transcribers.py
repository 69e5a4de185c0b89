"""The laws of transcribers. Letters: b (batch), n (sample)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from slmkit.api import AudioError, Transcriber
from slmkit.testing.teachers import teacher_laws


def transcriber_laws(make: Callable[[], Transcriber], folder: Path) -> None:
    """Hold a transcriber to its contract; `make` builds it, the same each time but for weights
    that are drawn at random. Raises AssertionError, which says what is broken.
    """
    part = make()
    wav, lengths = _rows(part.sample_rate)
    together = part.transcribe(wav, lengths)
    assert len(together) == len(wav), "one text for each row"
    assert all(text == " ".join(text.split()) for text in together), "words set apart by one space"
    assert part.transcribe(wav, lengths) == together, "the same sound gives the same text"
    _ignores_the_batch(part, wav, lengths, together)
    teacher_laws(part, wav, lengths)
    broken = wav.clone()
    broken[1, 5] = torch.nan
    assert _refuses(part, broken, lengths), "samples that are not finite must raise AudioError"
    part.save(folder)
    restored = make()
    restored.restore(folder)
    assert restored.transcribe(wav, lengths) == together, "saved and restored, it hears the same"


def _refuses(part: Transcriber, wav: torch.Tensor, lengths: torch.Tensor) -> bool:
    try:
        part.transcribe(wav, lengths)
    except AudioError:
        return True
    return False


def _ignores_the_batch(
    part: Transcriber, wav: torch.Tensor, lengths: torch.Tensor, together: list[str]
) -> None:
    """A row's text is the same alone, and whatever lies beyond its end."""
    beyond = torch.arange(wav.shape[1]) >= lengths[:, None]
    dirty = torch.where(beyond, 0.3 * torch.sin(torch.arange(wav.shape[1]) / 7.0), wav)
    dirty = torch.cat([dirty, torch.full((len(wav), 999), 0.5)], dim=1)
    assert part.transcribe(dirty, lengths) == together, "padding must not be heard"
    for row, length in enumerate(lengths.tolist()):
        alone = part.transcribe(wav[row : row + 1, :length], lengths[row : row + 1])
        assert alone == together[row : row + 1], f"row {row} alone differs from the batch"


def _rows(sample_rate: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Three sounds of different lengths, odd ones among them."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([sample_rate, sample_rate // 2 + 13, sample_rate * 3 // 4 - 1])
    time = torch.arange(int(lengths.max())) / sample_rate
    tones = torch.stack([torch.sin(2 * torch.pi * f * time * (1 + time)) for f in (180, 240, 310)])
    wav = 0.1 * tones + 0.02 * torch.randn(tones.shape, generator=generator)
    return wav * (torch.arange(wav.shape[1]) < lengths[:, None]), lengths
