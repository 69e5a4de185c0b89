"""HiFi-GAN's generator in chunks: every convolution keeps what its next window needs.

A convolution that looks to both sides gives a sample once what it sees to the right is there, so
that the sound comes late by the reach of all layers together (`look_ahead`), and nothing is
computed twice. The chunks' waves, one after the other, are `UnitHifiGan.forward` of the whole: the
zeros to both sides of a signal are given to each layer where its own signal begins and ends.

Letters: b (batch), c (channel), d (width), t (frame), n (sample).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slmkit.api import State
from slmkit.codecs.hifigan import SLOPE, HifiGanSizes, ResBlock, UnitHifiGan


def empty_state(generator: UnitHifiGan, batch: int, speaker: Tensor | None = None) -> State:
    """The state before the first unit; `speaker` as `UnitHifiGan.forward` takes it."""
    state = State(first=_left_zeros(generator.conv_pre, batch))
    if generator.sizes.speaks_in_voices:
        if speaker is None:
            raise ValueError("this vocoder speaks in voices: give it a speaker")
        state["voice"] = generator.spkr(speaker)
    kinds = len(generator.sizes.resblock_kernel_sizes)
    for stage, up in enumerate(generator.ups):
        blocks = generator.resblocks[stage * kinds : (stage + 1) * kinds]
        state[f"up.{stage}"] = {
            "held": _nothing(up.weight, batch, up.in_channels, _inputs_before(up)),
            "skipped": torch.tensor(0),
        }
        state[f"blocks.{stage}"] = {
            str(index): _empty_block(block, batch) for index, block in enumerate(blocks)
        }
    state["last"] = _left_zeros(generator.conv_post, batch)
    return state


def step(
    generator: UnitHifiGan, units: Tensor, state: State, last: bool = False
) -> tuple[Tensor, State]:
    """Go on with units [b, t], a unit a frame; the samples [b, n] that are certain by now, all that
    are left with the `last` units (of which there may be none)."""
    x, new = generator.dict(units), State()
    if "voice" in state:
        new["voice"] = state["voice"]
        x = torch.cat([x, new["voice"][:, None].expand_as(x)], dim=-1)
    image = x.transpose(1, 2)[:, :, None]
    x, new["first"] = _convolved(generator.conv_pre, image, state["first"], last)
    kinds = len(generator.sizes.resblock_kernel_sizes)
    for stage, up in enumerate(generator.ups):
        name = f"up.{stage}"
        x, new[name] = _raised(up, F.leaky_relu(x, SLOPE), state[name], last)
        blocks = generator.resblocks[stage * kinds : (stage + 1) * kinds]
        name = f"blocks.{stage}"
        x, new[name] = _averaged(blocks, x, state[name], last)
    x, new["last"] = _convolved(generator.conv_post, F.leaky_relu(x), state["last"], last)
    return torch.tanh(x)[:, 0, 0], new


def look_ahead(sizes: HifiGanSizes) -> int:
    """Samples by which a chunk's sound is late: how far a sample sees to its right."""
    late = 3
    for stage in reversed(range(len(sizes.upsample_rates))):
        rate, kernel = sizes.upsample_rates[stage], sizes.upsample_kernel_sizes[stage]
        shapes = zip(sizes.resblock_kernel_sizes, sizes.resblock_dilation_sizes, strict=True)
        after = math.prod(sizes.upsample_rates[stage + 1 :])
        late += after * max((k - 1) // 2 * sum(d + 1 for d in ds) for k, ds in shapes)
        late += after * ((kernel - rate) // 2)
    return late + 3 * sizes.hop_length


def _convolved(conv: nn.Conv1d, x: Tensor, held: Tensor, last: bool) -> tuple[Tensor, Tensor]:
    """A convolution of what was held and a chunk [b, c, 1, any], and what its next window needs."""
    reach, right = conv.dilation[0] * (conv.kernel_size[0] - 1), conv.padding[0]
    x = torch.cat([held, x], dim=-1)
    if last:
        x = F.pad(x, (0, right))
    frames = x.shape[-1] - reach
    if frames <= 0:
        return _nothing(x, len(x), conv.out_channels, 0), x
    y = F.conv2d(x, conv.weight[:, :, None], conv.bias, dilation=(1, conv.dilation[0]))
    return y, x[..., frames:]


def _raised(up: nn.ConvTranspose1d, x: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
    """A transposed convolution: a frame's samples come once no later frame reaches into them."""
    rate, trim, before = up.stride[0], up.padding[0], _inputs_before(up)
    x = torch.cat([state["held"], x], dim=-1)
    fresh = x.shape[-1] - before
    samples = fresh * rate + (trim if last else 0)
    # the first `trim` samples lie before the signal
    skip = min(trim - int(state["skipped"]), samples)
    state = {"held": x[..., fresh:], "skipped": state["skipped"] + skip}
    if samples == 0:
        return _nothing(x, len(x), up.out_channels, 0), state
    y = F.conv_transpose2d(x, up.weight[:, :, None], up.bias, (1, rate))
    return y[..., before * rate + skip : before * rate + samples], state


def _averaged(blocks: nn.ModuleList, x: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
    """The mean of residual blocks, of which those that see less far wait for the others."""
    ready, new = [], State()
    for index, block in enumerate(blocks):
        own = state[str(index)]
        y, layers = _passed(block, x, own["layers"], last)
        ready.append(torch.cat([own["ready"], y], dim=-1))
        new[str(index)] = {"layers": layers}
    frames = min(y.shape[-1] for y in ready)
    for index, y in enumerate(ready):
        new[str(index)]["ready"] = y[..., frames:]
    return sum(y[..., :frames] for y in ready) / len(ready), new


def _passed(block: ResBlock, x: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
    """One residual block; what goes round a pair of convolutions waits for what went through."""
    new = State()
    for pair, (first, second) in enumerate(zip(block.convs1, block.convs2, strict=True)):
        own, kept = state[str(pair)], State()
        around = torch.cat([own["around"], x], dim=-1)
        inner, kept["first"] = _convolved(first, F.leaky_relu(x, SLOPE), own["first"], last)
        inner, kept["second"] = _convolved(second, F.leaky_relu(inner, SLOPE), own["second"], last)
        frames = inner.shape[-1]
        x, kept["around"] = around[..., :frames] + inner, around[..., frames:]
        new[str(pair)] = kept
    return x, new


def _empty_block(block: ResBlock, batch: int) -> State:
    layers = State()
    for pair, (first, second) in enumerate(zip(block.convs1, block.convs2, strict=True)):
        layers[str(pair)] = {
            "first": _left_zeros(first, batch),
            "second": _left_zeros(second, batch),
            "around": _nothing(first.weight, batch, first.in_channels, 0),
        }
    channels = block.convs1[0].in_channels
    return {"layers": layers, "ready": _nothing(block.convs1[0].weight, batch, channels, 0)}


def _inputs_before(up: nn.ConvTranspose1d) -> int:
    """How many frames before a new one still reach into its samples."""
    kernel, rate = int(up.kernel_size[0]), int(up.stride[0])
    return math.ceil(kernel / rate) - 1


def _left_zeros(conv: nn.Conv1d, batch: int) -> Tensor:
    return _nothing(conv.weight, batch, conv.in_channels, conv.padding[0])


def _nothing(like: Tensor, batch: int, channels: int, frames: int) -> Tensor:
    """Zeros [b, c, 1, t], the channels last in memory."""
    return like.new_zeros(batch, 1, frames, channels).permute(0, 3, 1, 2)
