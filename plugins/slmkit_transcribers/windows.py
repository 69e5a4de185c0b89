"""Long sound in pieces that a model takes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

HOP_S = 0.02
"""Loudness is measured, and sound is cut, in steps of so many seconds."""

LONGEST_S = 30.0
"""Of a window."""


def windows(wav: Tensor, sample_rate: int, longest: float) -> list[Tensor]:
    """A wave [n] as consecutive pieces of at most `longest` seconds; together they are the wave.

    Each cut lies at the quietest spot of the last third of what a piece could hold, so that words
    stay whole where there is a pause.
    """
    hop = max(1, round(HOP_S * sample_rate))
    most = max(hop, round(longest * sample_rate))
    pieces: list[Tensor] = []
    while len(wav) > most:
        first = most * 2 // 3
        stretch = wav[first:most]
        blocks = stretch[: max(1, len(stretch) // hop) * hop].split(hop)
        loudness = torch.stack([block.square().mean() for block in blocks])
        cut = first + int(loudness.argmin()) * hop + hop // 2
        pieces.append(wav[: min(cut, most)])
        wav = wav[min(cut, most) :]
    return [*pieces, wav]


def heard_in_windows(hear: Callable[[Tensor], str], wav: Tensor, sample_rate: int) -> str:
    """What is heard in each window of a wave [n], with a space between."""
    return " ".join(filter(None, map(hear, windows(wav, sample_rate, LONGEST_S))))
