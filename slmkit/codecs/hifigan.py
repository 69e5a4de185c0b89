"""HiFi-GAN's generator over units, with a duration predictor: fairseq's CodeHiFiGAN.

Kong et al. 2020 (HiFi-GAN); Polyak et al. 2021 (units); Lee et al. 2022 (durations). Module names
are fairseq's, so that its checkpoints load key by key; weights are kept plain, without weight norm
(`slmkit.codecs.weight_norm` folds and unfolds it).

Between the layers a signal is a flat image [b, c, 1, t] whose channels lie last in memory, in which
a processor trains the network half again as fast as in [b, c, t].

Letters: b (batch), t (frame), d (width), c (channel), n (sample).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SLOPE = 0.1
"""Of every leaky ReLU but the last, which has torch's default of 0.01."""


@dataclass(frozen=True)
class HifiGanSizes:
    """The shape of the network, by fairseq's names.

    Attributes:
        num_embeddings: number of units.
        embedding_dim: width of a unit's and of a speaker's embedding.
        upsample_rates: their product is the hop length, samples a frame.
        upsample_kernel_sizes: of the transposed convolutions.
        upsample_initial_channel: channels before the first; halved by each.
        resblock_kernel_sizes, resblock_dilation_sizes: of the residual blocks after each.
        num_speakers: rows of a table of voices; 0: none.
        embedder_dim: width of a voice's embedding from a speaker encoder; 0: none.
        duration_hidden, duration_kernel, duration_dropout: of the duration predictor.
    """

    num_embeddings: int
    embedding_dim: int = 128
    upsample_rates: Sequence[int] = (5, 4, 4, 2, 2)
    upsample_kernel_sizes: Sequence[int] = (11, 8, 8, 4, 4)
    upsample_initial_channel: int = 512
    resblock_kernel_sizes: Sequence[int] = (3, 7, 11)
    resblock_dilation_sizes: Sequence[Sequence[int]] = field(
        default_factory=lambda: ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    )
    num_speakers: int = 0
    embedder_dim: int = 0
    duration_hidden: int = 128
    duration_kernel: int = 3
    duration_dropout: float = 0.5

    @property
    def hop_length(self) -> int:
        """Samples a frame."""
        product = 1
        for rate in self.upsample_rates:
            product *= rate
        return product

    @property
    def speaks_in_voices(self) -> bool:
        """Whether a voice is given beside the units."""
        return bool(self.num_speakers or self.embedder_dim)

    def faults(self) -> list[str]:
        """Why no network has this shape, a line each; none where one has."""
        found = []
        rates, kernels = list(self.upsample_rates), list(self.upsample_kernel_sizes)
        if len(rates) != len(kernels) or not rates:
            found.append(
                f"upsample_rates {rates} and upsample_kernel_sizes {kernels}: give as many of both"
            )
        for rate, kernel in zip(rates, kernels, strict=False):
            if rate < 1 or kernel < rate or (kernel - rate) % 2:
                found.append(
                    f"upsample_kernel_sizes: {kernel} does not fit the rate {rate}; it must be "
                    f"at least the rate, and both even or both odd"
                )
        if self.upsample_initial_channel < 1 or self.upsample_initial_channel % 2 ** len(rates):
            found.append(
                f"upsample_initial_channel: {self.upsample_initial_channel} cannot be halved "
                f"{len(rates)} times"
            )
        sizes, dilations = list(self.resblock_kernel_sizes), list(self.resblock_dilation_sizes)
        if len(sizes) != len(dilations) or not sizes or not all(dilations):
            found.append(f"resblock_kernel_sizes: {sizes} need dilations each, not {dilations}")
        if any(size % 2 == 0 or size < 1 for size in sizes):
            found.append(f"resblock_kernel_sizes: {sizes} must be odd")
        return found


class ResBlock(nn.Module):
    """Pairs of a dilated and a plain convolution, each pair added to its input ("resblock 1")."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()
        reach = (kernel - 1) // 2
        self.convs1 = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, padding=reach * d, dilation=d) for d in dilations
        )
        self.convs2 = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, padding=reach) for _ in dilations
        )

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        for first, second in zip(self.convs1, self.convs2, strict=True):
            inner = convolve(first, within(F.leaky_relu(x, SLOPE), real))
            x = x + convolve(second, within(F.leaky_relu(inner, SLOPE), real))
        return x


class DurationPredictor(nn.Module):
    """log(frames + 1) of each unit from the units' embeddings [b, t, d] (FastSpeech 2's)."""

    def __init__(self, width: int, hidden: int, kernel: int, dropout: float) -> None:
        super().__init__()
        first = nn.Conv1d(width, hidden, kernel, padding=(kernel - 1) // 2)
        # the second's padding is 1 whatever the kernel, as in fairseq
        second = nn.Conv1d(hidden, hidden, kernel, padding=1)
        self.conv1 = nn.Sequential(first, nn.ReLU())
        self.ln1 = nn.LayerNorm(hidden)
        self.conv2 = nn.Sequential(second, nn.ReLU())
        self.ln2 = nn.LayerNorm(hidden)
        self.proj = nn.Linear(hidden, 1)
        self.dropout = dropout

    def forward(self, embedded: Tensor, real: Tensor | None = None) -> Tensor:
        """`real` is float [b, 1, t], or None where every unit is."""
        x = embedded.transpose(1, 2)
        for conv, norm in ((self.conv1, self.ln1), (self.conv2, self.ln2)):
            x = norm(conv(within(x, real)).transpose(1, 2))
            x = F.dropout(x, self.dropout, self.training).transpose(1, 2)
        predicted: Tensor = self.proj(x.transpose(1, 2))[..., 0]
        return predicted

    @staticmethod
    def frames(predicted: Tensor) -> Tensor:
        """Whole frames of each unit, at least one; halves round to even, as in fairseq."""
        return (predicted.exp() - 1).round().long().clamp(min=1)


class UnitHifiGan(nn.Module):
    """Units to waves."""

    def __init__(self, sizes: HifiGanSizes) -> None:
        super().__init__()
        self.sizes = sizes
        width = sizes.embedding_dim
        self.dict = nn.Embedding(sizes.num_embeddings, width)
        if sizes.embedder_dim:
            self.spkr: nn.Module = nn.Linear(sizes.embedder_dim, width)
        elif sizes.num_speakers:
            self.spkr = nn.Embedding(sizes.num_speakers, width)
        self.dur_predictor = DurationPredictor(
            width, sizes.duration_hidden, sizes.duration_kernel, sizes.duration_dropout
        )
        channels = sizes.upsample_initial_channel
        taken = width * (2 if sizes.speaks_in_voices else 1)
        self.conv_pre = nn.Conv1d(taken, channels, 7, padding=3)
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        shapes = zip(sizes.upsample_rates, sizes.upsample_kernel_sizes, strict=True)
        for rate, kernel in shapes:
            up = nn.ConvTranspose1d(
                channels, channels // 2, kernel, rate, padding=(kernel - rate) // 2
            )
            channels //= 2
            self.ups.append(up)
            blocks = zip(sizes.resblock_kernel_sizes, sizes.resblock_dilation_sizes, strict=True)
            self.resblocks.extend(ResBlock(channels, k, dilations) for k, dilations in blocks)
        self.conv_post = nn.Conv1d(channels, 1, 7, padding=3)
        for conv in [*self.ups, self.conv_post]:
            nn.init.normal_(conv.weight, 0.0, 0.01 if conv is self.conv_post else 0.02)

    def forward(
        self, units: Tensor, speaker: Tensor | None = None, lengths: Tensor | None = None
    ) -> Tensor:
        """Units [b, t], a unit a frame, to waves [b, n].

        `lengths` [b] says how many frames are real; what lies beyond is kept at zero before every
        convolution, so that a row sounds as it does alone.
        """
        x = self.dict(units)
        if self.sizes.speaks_in_voices:
            if speaker is None:
                raise ValueError("this vocoder speaks in voices: give it a speaker")
            x = torch.cat([x, self.spkr(speaker)[:, None].expand_as(x)], dim=-1)
        real = None if lengths is None else mask(lengths, units.shape[1])[:, :, None]
        x = convolve(self.conv_pre, within(x.transpose(1, 2)[:, :, None], real))
        kinds = len(self.sizes.resblock_kernel_sizes)
        for stage, up in enumerate(self.ups):
            x = convolve(up, within(F.leaky_relu(x, SLOPE), real))
            real = None if real is None else real.repeat_interleave(up.stride[0], dim=3)
            blocks = self.resblocks[stage * kinds : (stage + 1) * kinds]
            x = sum(block(x, real) for block in blocks) / kinds
        # the last slope is torch's default, as in HiFi-GAN
        x = convolve(self.conv_post, within(F.leaky_relu(x), real))
        return within(torch.tanh(x), real)[:, 0, 0]


def convolve(conv: nn.Conv1d | nn.ConvTranspose1d, x: Tensor) -> Tensor:
    """A convolution over the time of [b, c, 1, t], without the copies that its own call makes."""
    weight, padding, stride = conv.weight[:, :, None], (0, *conv.padding), (1, *conv.stride)
    if isinstance(conv, nn.ConvTranspose1d):
        return F.conv_transpose2d(x, weight, conv.bias, stride, padding)
    return F.conv2d(x, weight, conv.bias, stride, padding, (1, *conv.dilation))


def within(x: Tensor, real: Tensor | None) -> Tensor:
    """Zero what lies beyond each row's length: x [b, c, .., t], real [b, 1, .., t]."""
    return x if real is None else x * real


def mask(lengths: Tensor, longest: int) -> Tensor:
    """Float [b, 1, t], 1 where a frame is real."""
    return (torch.arange(longest, device=lengths.device) < lengths[:, None]).float()[:, None]
