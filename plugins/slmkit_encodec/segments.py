"""EnCodec at 48 kHz: segments of a second that overlap by a hundredth, each at its own level.

Letters: b (batch), c (channel), k (codebook), t (frame), n (sample), s (segment).
"""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from slmkit.api import Codes, CodeSpec, MisfitError
from slmkit.codecs.codec import SeanetCodec
from slmkit_encodec.plugin import SEGMENT

LENGTH, STRIDE = SEGMENT
TOGETHER = 16
"""Segments that go through the network at once."""


def encode(codec: SeanetCodec, wav: Tensor, lengths: list[int], spec: CodeSpec) -> Codes:
    """The codes of waves [b, c, n], a row's segments one after the other.

    The last segment is as short as what is left, as published. Group norm hears a whole segment,
    padding included: only segments of one length go through the network together.
    """
    places = [(row, at) for row, end in enumerate(lengths) for at in range(0, end, STRIDE)]
    pieces = [wav[row, :, at : min(at + LENGTH, lengths[row])] for row, at in places]
    codes: list[Tensor] = [wav] * len(pieces)
    scales: list[Tensor] = [wav] * len(pieces)
    for chosen in _alike([piece.shape[-1] for piece in pieces]):
        batch = torch.stack([pieces[index] for index in chosen])
        scale = _level(batch)
        values = codec.quantizer.encode(codec.encoder(batch / scale), spec.codebooks)
        for index, own, level in zip(chosen, values, scale.flatten(), strict=True):
            codes[index], scales[index] = own, level
    rows = [[i for i, place in enumerate(places) if place[0] == row] for row in range(len(lengths))]
    padded = Codes.pad([torch.cat([codes[i] for i in row], dim=1) for row in rows], spec)
    padded.side = {
        "scales": pad_sequence([torch.stack([scales[i] for i in row]) for row in rows], True),
        "segments": pad_sequence(
            [torch.tensor([codes[i].shape[-1] for i in row]) for row in rows], True
        ),
    }
    return padded


def reconstruct(codec: SeanetCodec, wav: Tensor, books: int) -> tuple[Tensor, Tensor]:
    """(copy [b, c, n], commitment) of waves [b, c, n] of a segment or less, with gradients.

    Raises MisfitError for longer ones: the model has never heard any.
    """
    if wav.shape[-1] > LENGTH:
        raise MisfitError(f"encodec: at 48 kHz train on {LENGTH} samples or less, not more")
    scale = _level(wav)
    passed = codec(wav / scale, books)
    return passed.copy * scale, passed.quantized.commitment


def decode(codec: SeanetCodec, codes: Codes) -> list[Tensor]:
    """The wave [c, n] of each row, its segments faded into each other. Raises MisfitError."""
    scales, frames = codes.side.get("scales"), codes.side.get("segments")
    if scales is None or frames is None or frames.sum(dim=1).tolist() != codes.lengths.tolist():
        raise MisfitError(
            "encodec: codes at 48 kHz carry the scales and lengths of their segments in `side`; "
            "these do not"
        )
    counts = [[count for count in row if count] for row in frames.tolist()]
    pieces = [
        piece
        for values, row in zip(codes.values, counts, strict=True)
        for piece in values[:, : sum(row)].split(row, dim=1)
    ]
    levels = [level for own, row in zip(scales, counts, strict=True) for level in own[: len(row)]]
    waves: list[Tensor] = list(pieces)
    for chosen in _alike([piece.shape[-1] for piece in pieces]):
        latents = codec.quantizer.decode(torch.stack([pieces[index] for index in chosen]))
        for index, wave in zip(chosen, codec.decoder(latents), strict=True):
            waves[index] = wave * levels[index]
    rows, at = [], 0
    for row in counts:
        rows.append(_faded(waves[at : at + len(row)]))
        at += len(row)
    return rows


def _level(wav: Tensor) -> Tensor:
    """The root mean square [b, 1, 1] of the channels' mean."""
    return wav.mean(dim=1, keepdim=True).square().mean(dim=2, keepdim=True).sqrt() + 1e-8


def _alike(lengths: list[int]) -> list[list[int]]:
    """Which segments go through the network together."""
    of_length: dict[int, list[int]] = defaultdict(list)
    for index, length in enumerate(lengths):
        of_length[length].append(index)
    return [
        same[at : at + TOGETHER]
        for same in of_length.values()
        for at in range(0, len(same), TOGETHER)
    ]


def _faded(waves: list[Tensor]) -> Tensor:
    """The sum [c, n] of waves at their places, weighed by a triangle as long as the first."""
    total = STRIDE * (len(waves) - 1) + waves[-1].shape[-1]
    width = waves[0].shape[-1]
    ramp = torch.linspace(0, 1, width + 2, device=waves[0].device)[1:-1]
    triangle = 0.5 - (ramp - 0.5).abs()
    summed = waves[0].new_zeros(waves[0].shape[0], total)
    weights = waves[0].new_zeros(total)
    for index, wave in enumerate(waves):
        at, own = index * STRIDE, triangle[: wave.shape[-1]]
        summed[:, at : at + wave.shape[-1]] += own * wave
        weights[at : at + wave.shape[-1]] += own
    return summed / weights
