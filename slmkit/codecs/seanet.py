"""SEANet, the convolutional encoder and decoder of EnCodec and SpeechTokenizer.

Tagliasacchi et al. 2020; as in EnCodec (Defossez et al. 2022) and SpeechTokenizer (Zhang et al.
2023), whose weights `slmkit.codecs.published` maps to the names here. Weights are plain: weight
norm is folded when they are read, and `slmkit.codecs.weight_norm` adds it again for training.

Letters: b (batch), c (channel), d (width), t (frame), n (sample).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from slmkit.api import State
from slmkit.codecs.convolution import Convolution, Elu, Ends, Snake, Upsampling, flat_image
from slmkit.codecs.recurrent import SkipLstm


@dataclass(frozen=True)
class SeanetSizes:
    """The shape of an encoder and its decoder.

    Attributes:
        channels: of the wave.
        width: of a latent frame.
        filters: channels after the first convolution; doubled by each stage.
        ratios: samples that each stage of the decoder makes of one; the encoder goes backwards.
        blocks: residual blocks a stage.
        kernel: of the first and the last convolution.
        block_kernel: of the residual blocks.
        dilation_base: the dilation of block i of a stage is its i-th power.
        lstm_layers: of the LSTM in the middle.
        from_both_sides: whether the encoder's LSTM is bidirectional.
        causal: whether a frame depends on nothing after it (but for what its stride covers).
        normed: group norm after each convolution.
        snake: Snake activations in the place of ELU.
    """

    channels: int = 1
    width: int = 128
    filters: int = 32
    ratios: Sequence[int] = (8, 5, 4, 2)
    blocks: int = 1
    kernel: int = 7
    block_kernel: int = 3
    dilation_base: int = 2
    lstm_layers: int = 2
    from_both_sides: bool = False
    causal: bool = True
    normed: bool = False
    snake: bool = False

    @property
    def hop_length(self) -> int:
        """Samples a frame."""
        return math.prod(self.ratios)

    def activation(self, channels: int) -> Elu | Snake:
        """What stands before a convolution of so many channels."""
        return Snake(channels) if self.snake else Elu()

    def convolution(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1
    ) -> Convolution:
        """A convolution of what has gone through an activation."""
        return Convolution(
            inputs,
            outputs,
            kernel,
            stride,
            dilation,
            causal=self.causal,
            normed=self.normed,
            before=self.activation(inputs),
        )

    def bare(self, inputs: int, outputs: int, kernel: int) -> Convolution:
        """A convolution of what comes in."""
        return Convolution(inputs, outputs, kernel, causal=self.causal, normed=self.normed)


class Block(nn.Module):
    """A 1x1 convolution of x plus two convolutions of it through half as many channels."""

    def __init__(self, sizes: SeanetSizes, channels: int, dilation: int) -> None:
        super().__init__()
        self.inner = sizes.convolution(
            channels, channels // 2, sizes.block_kernel, dilation=dilation
        )
        self.outer = sizes.convolution(channels // 2, channels, 1)
        self.shortcut = sizes.bare(channels, channels, 1)

    def forward(self, x: Tensor, ends: Ends = None) -> Tensor:
        """[b, c, 1, t] -> [b, c, 1, t]."""
        return _sum(self.outer(self.inner(x, ends)), self.shortcut(x))

    def empty_state(self, batch: int) -> State:
        """The inner convolution's state, and what the shortcut has ahead of it."""
        inner = self.inner.empty_state(batch)
        return {"inner": inner, "ahead": inner["held"]}

    def step(self, x: Tensor, state: State, last: bool = False) -> tuple[Tensor, State]:
        """Go on with a chunk [b, c, 1, any]."""
        ahead = torch.cat([state["ahead"], self.shortcut(x)], dim=-1)
        inner, held = self.inner.step(x, state["inner"], last)
        frames = inner.shape[-1]
        y = _sum(self.outer(inner), ahead[..., :frames])
        return y, {"inner": held, "ahead": ahead[..., frames:]}


class Encoder(nn.Module):
    """A wave to latent frames."""

    def __init__(self, sizes: SeanetSizes) -> None:
        super().__init__()
        self.sizes = sizes
        channels = sizes.filters
        self.first = sizes.bare(sizes.channels, channels, sizes.kernel)
        stages: list[nn.ModuleList] = []
        for ratio in reversed(sizes.ratios):
            stage = _blocks(sizes, channels)
            stage.append(sizes.convolution(channels, 2 * channels, 2 * ratio, ratio))
            stages.append(stage)
            channels *= 2
        self.stages = nn.ModuleList(stages)
        self.lstm = SkipLstm(channels, sizes.lstm_layers, sizes.from_both_sides)
        channels *= 2 if sizes.from_both_sides else 1
        self.last = sizes.convolution(channels, sizes.width, sizes.kernel)

    def forward(self, wav: Tensor, lengths: Ends = None) -> Tensor:
        """[b, c, n] -> [b, d, ceil(n / hop)]; a row's frames up to ceil(length / hop) are those
        that it has alone. None: every row has n samples (which group norm asks for).
        """
        ends, x = _uneven(lengths, wav.shape[-1]), flat_image(wav)
        x = self.first(x, ends)
        for stage in self.stages:
            for layer in stage:
                x = layer(x, ends)
            if ends is not None:
                ends = [-(-end // layer.stride) for end in ends]
        return self.last(self.lstm(x, ends), ends)[:, :, 0]

    def empty_state(self, batch: int) -> State:
        """The state of a causal encoder before the first chunk."""
        return _empty_state(self, batch)

    def step(self, wav: Tensor, state: State, last: bool = False) -> tuple[Tensor, State]:
        """Go on with a chunk [b, c, any]; frames [b, d, any] as soon as they are certain, all of
        them once the `last` chunk (which may be empty) is there. Where causal.
        """
        x, new = flat_image(wav), State()
        x, new["first"] = self.first.step(x, state["first"], last)
        for name, layer in _numbered(self.stages):
            x, new[name] = layer.step(x, state[name], last)
        x, new["lstm"] = self.lstm.step(x, state["lstm"])
        x, new["last"] = self.last.step(x, state["last"], last)
        return x[:, :, 0], new


class Decoder(nn.Module):
    """Latent frames to a wave."""

    def __init__(self, sizes: SeanetSizes) -> None:
        super().__init__()
        self.sizes = sizes
        channels = sizes.filters * 2 ** len(sizes.ratios)
        self.first = sizes.bare(sizes.width, channels, sizes.kernel)
        self.lstm = SkipLstm(channels, sizes.lstm_layers)
        stages: list[nn.ModuleList] = []
        for ratio in sizes.ratios:
            up = Upsampling(
                channels,
                channels // 2,
                ratio,
                causal=sizes.causal,
                normed=sizes.normed,
                before=sizes.activation(channels),
            )
            channels //= 2
            stages.append(nn.ModuleList([up, *_blocks(sizes, channels)]))
        self.stages = nn.ModuleList(stages)
        self.last = sizes.convolution(channels, sizes.channels, sizes.kernel)

    def forward(self, latents: Tensor, lengths: Ends = None) -> Tensor:
        """[b, d, t] -> [b, c, t * hop]; a row's samples up to length * hop are those that it has
        alone. None: every row has t frames (which group norm asks for).
        """
        ends = _uneven(lengths, latents.shape[-1])
        x = self.lstm(self.first(flat_image(latents), ends))
        for stage in self.stages:
            for layer in stage:
                x = layer(x, ends)
                if ends is not None and isinstance(layer, Upsampling):
                    ends = [end * layer.stride for end in ends]
        return self.last(x, ends)[:, :, 0]

    def empty_state(self, batch: int) -> State:
        """The state of a decoder without group norm before the first chunk."""
        return _empty_state(self, batch)

    def step(self, latents: Tensor, state: State, last: bool = False) -> tuple[Tensor, State]:
        """Go on with frames [b, d, any]; samples [b, c, any] as soon as they are certain: where it
        is not causal, late by what its layers see to the right."""
        x, new = flat_image(latents), State()
        x, new["first"] = self.first.step(x, state["first"], last)
        x, new["lstm"] = self.lstm.step(x, state["lstm"])
        for name, layer in _numbered(self.stages):
            x, new[name] = layer.step(x, state[name], last)
        x, new["last"] = self.last.step(x, state["last"], last)
        return x[:, :, 0], new


def _blocks(sizes: SeanetSizes, channels: int) -> nn.ModuleList:
    powers = range(sizes.blocks)
    return nn.ModuleList(Block(sizes, channels, sizes.dilation_base**i) for i in powers)


def _numbered(stages: nn.ModuleList) -> list[tuple[str, nn.Module]]:
    return [(f"{s}.{i}", layer) for s, stage in enumerate(stages) for i, layer in enumerate(stage)]


def _empty_state(module: Encoder | Decoder, batch: int) -> State:
    layers: list[tuple[str, Any]] = [
        ("first", module.first),
        ("lstm", module.lstm),
        ("last", module.last),
        *_numbered(module.stages),
    ]
    return {name: layer.empty_state(batch) for name, layer in layers}


def _uneven(lengths: Ends, longest: int) -> Ends:
    """The rows' lengths, or None where all are as long as the longest and nothing is beyond."""
    if lengths is None or all(length == longest for length in lengths):
        return None
    return list(lengths)


def _sum(fresh: Tensor, other: Tensor) -> Tensor:
    """The sum; in place of the first, which nobody else holds, where no gradient is asked for."""
    return fresh + other if torch.is_grad_enabled() else fresh.add_(other)
