"""What tokenizers ask of the waves that they are given.

Letters: b (batch), c (channel), n (sample).
"""

from __future__ import annotations

import torch
from torch import Tensor

from slmkit.api import AudioError

PIECE = 1 << 20
"""Samples that are looked through at a time: an hour of sound is large enough without copies."""


def check_waves(wav: Tensor, lengths: Tensor) -> None:
    """Raise AudioError where `wav` is not [b, n] with `lengths` [b] of at least one sample each, or
    a sample within them is not a finite number. What lies beyond them is not looked at.
    """
    if wav.dim() != 2:
        raise AudioError(f"waves have the shape [batch, samples], not {tuple(wav.shape)}")
    _check_rows(wav, [int(length) for length in lengths])


def channelled(wav: Tensor, lengths: Tensor, channels: int, name: str) -> tuple[Tensor, list[int]]:
    """(wav [b, c, n], lengths) of wav [b, n] or [b, c, n], cut to the longest and finite.

    A mono wave goes into each channel; beyond a row's length all is zero. Raises AudioError.
    """
    if wav.dim() == 2:
        wav = wav[:, None].expand(-1, channels, -1)
    if wav.dim() != 3 or wav.shape[1] != channels:
        kinds = "[batch, samples]" + (f" or [batch, {channels}, samples]" if channels > 1 else "")
        mend = "; mix its channels down to one first" if channels == 1 and wav.dim() == 3 else ""
        raise AudioError(f"{name} takes waves of shape {kinds}, not {tuple(wav.shape)}{mend}")
    rows = [int(length) for length in lengths]
    _check_rows(wav, rows)
    wav = wav[..., : max(rows)].float()
    if min(rows) < wav.shape[-1]:
        wav = wav.clone()
        for row, length in zip(wav, rows, strict=True):
            row[:, length:] = 0
    return wav, rows


def check_chunk(chunk: Tensor, name: str) -> Tensor:
    """A chunk [b, n] of a stream, which may be empty. Raises AudioError."""
    if chunk.dim() != 2:
        raise AudioError(f"{name} takes chunks of shape [batch, samples], not {tuple(chunk.shape)}")
    if not bool(torch.isfinite(chunk).all()):
        raise AudioError(f"{name}: the chunk holds samples that are not finite numbers")
    return chunk


def _check_rows(wav: Tensor, rows: list[int]) -> None:
    """Raise AudioError where lengths do not fit waves [b, .., n], or what they hold is no sound."""
    if len(rows) != len(wav) or not rows:
        raise AudioError(f"{len(wav)} waves and {len(rows)} lengths")
    if min(rows) < 1:
        raise AudioError("an utterance of no samples has no codes")
    if max(rows) > wav.shape[-1]:
        raise AudioError(f"a length of {max(rows)} in waves of {wav.shape[-1]} samples")
    for row, length in zip(wav, rows, strict=True):
        pieces = row[..., :length].split(PIECE, dim=-1)
        if not all(bool(torch.isfinite(piece).all()) for piece in pieces):
            raise AudioError("the wave holds samples that are not finite numbers")


def groups(lengths: list[int], most: int) -> list[list[int]]:
    """Row numbers that go through a network together: up to `most` samples, padding counted, rows
    of like length beside each other.
    """
    found: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if found and lengths[found[-1][0]] * (len(found[-1]) + 1) <= most:
            found[-1].append(row)
        else:
            found.append([row])
    return found
