"""Weights of a new codec that begin as a lapped transform, so that it gives sound back at once.

A SEANet that starts from random weights learns the loudness of bands long before the waves in them:
for hours of a processor it speaks in a buzz of one pitch. Here some channels of each layer carry
the samples themselves; the encoder's last stage takes their modified discrete cosine transform
(Princen, Johnson and Bradley 1987), latents are its lowest coefficients, and the decoder goes the
same way back. The other channels start as ever and learn what is missing. A causal codec cannot
lap what is not there yet: it takes the cosine transform of each frame alone.

What is carried is faint, where ELU bends it little; what it does bend sounds like the high
frequencies that the latents leave out, and not like noise.

Letters: c (carried channel), d (coefficient), k (tap), n (sample).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from slmkit.api import MisfitError
from slmkit.codecs.convolution import Convolution
from slmkit.codecs.seanet import Block, Decoder, Encoder, SeanetSizes
from slmkit.codecs.starting import Laid, scale_layers

if TYPE_CHECKING:
    from slmkit.codecs.codec import SeanetCodec

DEVIATION = 0.1
"""Of every signal within the network."""
BESIDE = 0.1
"""What the other channels add to latents and waves, as a share of what scaled layers would."""
FAINT = 1e-4
"""What is left of random weights in the way of what is carried: nothing has no direction, which
weight norm asks for."""


@torch.no_grad()  # type: ignore[untyped-decorator]
def start_lapped(codec: SeanetCodec, wav: Tensor) -> None:
    """Lay the transform into a codec for sound like waves [b, 1, n].

    What is the first codebook's own (`ResidualQuantizer.own`) is left to learn. Raises MisfitError
    for a network that cannot carry it.
    """
    sizes = codec.sizes
    carried = _carried(sizes)
    room = sizes.width - codec.quantizer.own
    hop, widest = sizes.hop_length, sizes.filters * 2 ** len(sizes.ratios)
    basis = transform(hop, min(room, hop, widest), lapped=not sizes.causal).to(wav)
    frames = wav.reshape(-1, wav.shape[-1]).unfold(1, len(basis), hop).flatten(0, 1)
    deviation = (frames @ basis).std(dim=0).clamp_min(1e-4)
    # loud coefficients weigh more in the latents than quiet ones, and less than their energy would
    weight = deviation.sqrt() / deviation.mean().sqrt()
    raised = DEVIATION / max(float(wav.std()), 1e-4)
    inward = basis * (DEVIATION / deviation)
    outward = basis * (deviation / DEVIATION)
    laid = _way_in(codec.encoder, carried, inward / raised, weight / DEVIATION, raised)
    laid |= _way_out(codec.decoder, carried, outward * raised, DEVIATION / weight, raised)
    scale_layers(codec, wav, laid, DEVIATION)


def transform(hop: int, kept: int, lapped: bool) -> Tensor:
    """The lowest `kept` waves [n, d] of an orthonormal transform: n is two hops where they lap,
    under a sine window, else one."""
    frequency = torch.arange(kept, dtype=torch.float64) + 0.5
    sample = torch.arange(2 * hop if lapped else hop, dtype=torch.float64) + 0.5
    late = hop / 2 if lapped else 0.0
    waves = torch.cos(math.pi / hop * (sample[:, None] + late) * frequency) * (2 / hop) ** 0.5
    window = torch.sin(math.pi / (2 * hop) * sample) if lapped else torch.ones_like(sample)
    return (window[:, None] * waves).float()


def _carried(sizes: SeanetSizes) -> list[int]:
    """Channels that carry samples into each stage of the encoder."""
    if sizes.channels != 1 or sizes.lstm_layers or sizes.normed or sizes.snake:
        raise MisfitError(
            "start 'lapped' is for one channel and ELU, without LSTM and group norm; "
            "choose start 'scaled'"
        )
    inward = list(reversed(sizes.ratios))
    carried = [math.prod(inward[:stage]) for stage in range(len(inward))]
    there = [sizes.filters * 2**stage for stage in range(len(inward))]
    if any(need >= channels for need, channels in zip(carried, there, strict=True)):
        raise MisfitError(
            f"start 'lapped' carries {carried} channels into the encoder's stages, which have "
            f"{there}; give more filters, or choose start 'scaled'"
        )
    return carried


def _way_in(
    encoder: Encoder, carried: list[int], waves: Tensor, gain: Tensor, raised: float
) -> Laid:
    """Lay `waves` [n, d] into the encoder; gives how many outputs of each layer are laid."""
    kept = waves.shape[1]
    _clear(encoder.first, 1)
    encoder.first.conv.weight[0, 0, encoder.first.left] = raised
    laid: Laid = {encoder.first: 1}
    for stage, count in zip(encoder.stages, carried, strict=True):
        *blocks, down = stage
        for block in blocks:
            laid |= _let_through(block, count)
        if down is encoder.stages[-1][-1]:
            _clear(down, kept)
            down.conv.weight[:kept, :count] = _taps(waves, count, down.conv.weight, down.left)
            laid[down] = kept
        else:
            _clear(down, count * down.stride)
            for at in range(down.stride):
                rows = range(at * count, (at + 1) * count)
                down.conv.weight[rows, range(count), down.left + at] = 1.0
            laid[down] = count * down.stride
    last = encoder.last.conv
    last.weight[:kept, kept:] *= BESIDE
    last.weight[:kept, :kept] *= FAINT
    last.weight[range(kept), range(kept), encoder.last.left] = gain
    last.bias.zero_()
    return laid | {encoder.last: kept}


def _way_out(
    decoder: Decoder, carried: list[int], waves: Tensor, gain: Tensor, raised: float
) -> Laid:
    """Lay `waves` [n, d] into the decoder; gives how many outputs of each layer are laid."""
    kept = waves.shape[1]
    _clear(decoder.first, kept)
    decoder.first.conv.weight[range(kept), range(kept), decoder.first.left] = gain
    laid: Laid = {decoder.first: kept}
    for stage, count in zip(decoder.stages, reversed(carried), strict=True):
        up, *blocks = stage
        weight, left = up.conv.weight, up.trim[0]
        weight[:, :count] *= FAINT
        up.conv.bias[:count] = 0.0
        if up is decoder.stages[0][0]:
            weight[:kept, :count] = _taps(waves, count, weight, left)
        else:
            for at in range(up.stride):
                rows = range(at * count, (at + 1) * count)
                weight[rows, range(count), left + at] = 1.0
        laid[up] = count
        for block in blocks:
            laid |= _let_through(block, count)
    last = decoder.last.conv
    last.weight *= BESIDE
    last.weight[0, 0] *= FAINT
    last.weight[0, 0, decoder.last.left] = 1 / raised
    last.bias.zero_()
    return laid | {decoder.last: 1}


def _taps(waves: Tensor, count: int, weight: Tensor, left: int) -> Tensor:
    """Waves [n, d] as taps [d, c, k] of a convolution; those of one frame begin at `left`."""
    taps = waves.reshape(-1, count, waves.shape[1]).permute(2, 1, 0)
    whole = weight.new_zeros(*taps.shape[:2], weight.shape[-1])
    start = left if taps.shape[-1] < whole.shape[-1] else 0
    whole[..., start : start + taps.shape[-1]] = taps
    return whole


def _let_through(block: Block, count: int) -> Laid:
    """Let the first channels through a residual block as they are."""
    for layer in (block.outer, block.shortcut):
        _clear(layer, count)
    block.shortcut.conv.weight[range(count), range(count)] = 1.0
    return {block.outer: count, block.shortcut: count}


def _clear(layer: Convolution, count: int) -> None:
    layer.conv.weight[:count] *= FAINT
    layer.conv.bias[:count] = 0.0
