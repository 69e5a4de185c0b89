"""EnCodec at 48 kHz: segments of a second that overlap by a hundredth, each at its own level.

Letters: b (batch), c (channel), k (codebook), t (frame), n (sample), s (segment).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from slmkit.api import Codes, CodeSpec, MisfitError, State
from slmkit.codecs.codec import SeanetCodec
from slmkit_encodec.plugin import SEGMENT

LENGTH, STRIDE = SEGMENT
TOGETHER = 16
"""Segments that go through the network at once."""


def encode(codec: SeanetCodec, wav: Tensor, lengths: list[int], spec: CodeSpec) -> Codes:
    """The codes of waves [b, c, n], a row's segments one after the other.

    The last segment is as short as what is left, as published.
    """
    rows = [
        [wav[row, :, at : min(at + LENGTH, end)] for at in range(0, end, STRIDE)]
        for row, end in enumerate(lengths)
    ]
    return _coded(codec, rows, spec)


def encode_long(codec: SeanetCodec, blocks: Iterable[Tensor], spec: CodeSpec) -> Iterator[Codes]:
    """The codes of one utterance that comes in blocks [1, c, n], a few segments at a time."""
    pieces = _cut(blocks)
    while some := list(itertools.islice(pieces, TOGETHER)):
        yield _coded(codec, [some], spec)


def _cut(blocks: Iterable[Tensor]) -> Iterator[Tensor]:
    """The segments [c, n] of sound in blocks [1, c, n]: the same as those of the whole."""
    held = torch.empty(0)
    for block in blocks:
        held = block[0] if not held.numel() else torch.cat([held, block[0]], dim=1)
        while held.shape[-1] >= LENGTH:
            yield held[:, :LENGTH]
            held = held[:, STRIDE:]
    while held.shape[-1]:
        yield held[:, :LENGTH]
        held = held[:, STRIDE:]


def _coded(codec: SeanetCodec, rows: list[list[Tensor]], spec: CodeSpec) -> Codes:
    """The codes of each row's segments [c, n].

    Group norm hears a whole segment, padding included: only segments of one length go through the
    network together.
    """
    pieces = [piece for row in rows for piece in row]
    codes: list[Tensor] = list(pieces)
    scales: list[Tensor] = list(pieces)
    for chosen in _alike([piece.shape[-1] for piece in pieces]):
        batch = torch.stack([pieces[index] for index in chosen])
        scale = _level(batch)
        values = codec.quantizer.encode(codec.encoder(batch / scale), spec.codebooks)
        for index, own, level in zip(chosen, values, scale.flatten(), strict=True):
            codes[index], scales[index] = own, level
    places = iter(range(len(pieces)))
    own = [list(itertools.islice(places, len(row))) for row in rows]
    padded = Codes.pad([torch.cat([codes[i] for i in row], dim=1) for row in own], spec)
    padded.side = {
        "scales": pad_sequence([torch.stack([scales[i] for i in row]) for row in own], True),
        "segments": pad_sequence(
            [torch.tensor([codes[i].shape[-1] for i in row]) for row in own], True
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
    rows = _segments(codes)
    said = iter(_said(codec, [each for row in rows for each in row]))
    return [torch.cat(list(_faded(itertools.islice(said, len(row)))), dim=1) for row in rows]


def decode_long(codec: SeanetCodec, codes: Codes) -> Iterator[Tensor]:
    """The wave of one row in blocks [c, n], a few segments at a time. Raises MisfitError."""
    (row,) = _segments(codes)
    groups = (row[at : at + TOGETHER] for at in range(0, len(row), TOGETHER))
    yield from _faded(wave for group in groups for wave in _said(codec, group))


Segment = tuple[Tensor, Tensor]
"""Codes [k, t] of a segment, and its level."""


def _segments(codes: Codes) -> list[list[Segment]]:
    """The segments of each row. Raises MisfitError."""
    scales, frames = codes.side.get("scales"), codes.side.get("segments")
    if scales is None or frames is None or frames.sum(dim=1).tolist() != codes.lengths.tolist():
        raise MisfitError(
            "encodec: codes at 48 kHz carry the scales and lengths of their segments in `side`; "
            "these do not"
        )
    rows = []
    for values, levels, row in zip(codes.values, scales, frames.tolist(), strict=True):
        counts = [count for count in row if count]
        pieces = values[:, : sum(counts)].split(counts, dim=1)
        rows.append(list(zip(pieces, levels[: len(counts)], strict=True)))
    return rows


def _said(codec: SeanetCodec, segments: list[Segment]) -> list[Tensor]:
    """The wave [c, n] of each segment."""
    waves: list[Tensor] = [values for values, _ in segments]
    for chosen in _alike([values.shape[-1] for values, _ in segments]):
        latents = codec.quantizer.decode(torch.stack([segments[index][0] for index in chosen]))
        for index, wave in zip(chosen, codec.decoder(latents), strict=True):
            waves[index] = wave * segments[index][1]
    return waves


def _faded(waves: Iterable[Tensor]) -> Iterator[Tensor]:
    """The sum of waves [c, n] at their places, weighed by a triangle as long as the first, in
    blocks [c, n]: each goes out once no later wave reaches into it."""
    state = _unheard()
    for wave in waves:
        block, state = _laid(wave, state)
        if block.shape[1]:
            yield block
    yield state["summed"] / state["weights"]


def _unheard() -> State:
    """Before the first wave; then its triangle, and the sum and the weights from where the last
    wave was laid."""
    return {name: torch.empty(0) for name in ("summed", "weights", "triangle")}


def _laid(wave: Tensor, state: State) -> tuple[Tensor, State]:
    """Lay a wave [c, n] at its place; give the block that no later one reaches into."""
    summed, weights, triangle = state["summed"], state["weights"], state["triangle"]
    if not triangle.numel():
        ramp = torch.linspace(0, 1, wave.shape[-1] + 2, device=wave.device)[1:-1]
        triangle = 0.5 - (ramp - 0.5).abs()
        summed, weights, block = wave.new_empty(len(wave), 0), wave.new_empty(0), wave[:, :0]
    else:
        block = summed[:, :STRIDE] / weights[:STRIDE]
        summed, weights = summed[:, STRIDE:], weights[STRIDE:]
    # what is left of the one before may reach further than a short last one
    own, more = triangle[: wave.shape[-1]], max(wave.shape[-1] - len(weights), 0)
    summed, weights = F.pad(summed, (0, more)), F.pad(weights, (0, more))
    summed[:, : wave.shape[-1]] += own * wave
    weights[: wave.shape[-1]] += own
    return block, {"summed": summed, "weights": weights, "triangle": triangle}


def empty_decode_state(batch: int) -> State:
    """The state of `decode_step` before the first segment of each row."""
    return {str(row): _unheard() for row in range(batch)}


def decode_step(
    codec: SeanetCodec, codes: Codes, state: State, last: bool = False
) -> tuple[Tensor, State]:
    """The wave [b, c, any] that whole segments, as many in each row, make certain: all but what
    the next one fades into, and that too with the `last`. Raises MisfitError for parts of them."""
    rows = _segments(codes) if codes.values.shape[2] else [[] for _ in range(len(codes))]
    waves, after = [], State()
    for row, segments in enumerate(rows):
        own, blocks = state[str(row)], [torch.zeros(codec.sizes.channels, 0)]
        for wave in _said(codec, segments):
            block, own = _laid(wave, own)
            blocks.append(block)
        if last and own["triangle"].numel():
            blocks.append(own["summed"] / own["weights"])
        waves.append(torch.cat(blocks, dim=1))
        after[str(row)] = own
    return torch.stack(waves), after


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
