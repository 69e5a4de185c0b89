"""Long sound in pieces that a model takes."""

from __future__ import annotations

import torch
from torch import Tensor

HOP_S = 0.02
"""Loudness is measured, and sound is cut, in steps of so many seconds."""


def windows(wav: Tensor, sample_rate: int, longest: float = 30.0) -> list[Tensor]:
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
