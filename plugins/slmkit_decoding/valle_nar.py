"""The refiner `valle-nar`.

Letters: b (batch), l (text id), n (frame of prompt and target), d (width), h (head).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slmkit.api import CodeSpec, Draft, Refiner
from slmkit_decoding.plugin import ValleNarOptions
from slmkit_decoding.sounds import UNKNOWN, Sounds, early, embed_known, lend_beginnings


class ValleNar(nn.Module, Refiner):
    """A transformer over text and speech that sees both ways (VALL-E, Wang et al. 2023).

    Which codebook is due is told by adaptive layer norms; a frame is read as the sum of the
    codebooks before it, and a prompt's as the sum of all. One codebook is trained at a time, and
    in generation each takes one pass and the best code everywhere. With `prompt: before` a prompt,
    too, is read up to the codebook before the one due (the published code's prefix mode 0).
    """

    def __init__(self, options: ValleNarOptions, spec: CodeSpec, given: int, words: int) -> None:
        super().__init__()
        sizes, width = spec.codebook_sizes, options.width
        self.given, self.whole_prompt = given, options.prompt == "all"
        self.text = nn.Embedding(words, width)
        self.codes = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        self.stages = nn.Embedding(len(sizes) - given, width)
        self.layers = nn.ModuleList(
            Layer(width, options.heads, options.dropout) for _ in range(options.layers)
        )
        self.norm = AdaptiveNorm(width)
        self.projections = nn.ModuleList(
            nn.Linear(width, size, bias=False) for size in sizes[given:]
        )
        for table in [self.text, self.stages, *self.codes, *self.projections]:
            nn.init.normal_(table.weight, std=0.02)  # type: ignore[arg-type]

    def loss(
        self, drafts: Sequence[Draft], codes: Sequence[np.ndarray], draw: torch.Generator
    ) -> Tensor:
        sounds = Sounds.of(drafts, len(self.codes), self.norm.device, codes)
        lend_beginnings(sounds, draw)
        stage = early(len(self.projections), draw)
        scores = self._scores(sounds, stage)[sounds.target]
        return F.cross_entropy(scores.float(), sounds.codes[:, self.given + stage][sounds.target])

    def matrices(self) -> list[nn.Parameter]:
        return [each for each in self.layers.parameters() if each.dim() == 2]

    @torch.no_grad()
    def refine(self, drafts: Sequence[Draft], draws: Sequence[torch.Generator]) -> list[np.ndarray]:
        sounds = Sounds.of(drafts, len(self.codes), self.norm.device)
        for stage in range(len(self.projections)):
            best = self._scores(sounds, stage).argmax(dim=-1)
            book = sounds.codes[:, self.given + stage]
            sounds.codes[:, self.given + stage] = torch.where(sounds.target, best, book)
        return sounds.targets()

    def _scores(self, sounds: Sounds, stage: int) -> Tensor:
        """Scores [b, n, size] of a stage's codebook."""
        codes = sounds.codes.clone()
        hidden = codes[:, self.given + stage :]
        if self.whole_prompt:
            hidden.masked_fill_(sounds.target[:, None], UNKNOWN)
        else:
            hidden.fill_(UNKNOWN)
        text = self.text(sounds.text) + sinusoids(sounds.text.shape[1], self.text.weight)
        speech = embed_known(self.codes, codes) + sinusoids(codes.shape[2], self.text.weight)
        x = torch.cat([text, speech], dim=1)
        real = torch.cat([sounds.text_real, sounds.real], dim=1)[:, None, None]
        told = self.stages.weight[stage]
        for layer in self.layers:
            x = layer(x, real, told)
        scores: Tensor = self.projections[stage](self.norm(x[:, text.shape[1] :], told))
        return scores


class AdaptiveNorm(nn.Module):
    """A layer norm whose scale and shift are read from an embedding of the codebook."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 2 * width)
        with torch.no_grad():
            self.project.weight.mul_(0.1)
            self.project.bias.copy_(torch.cat([torch.ones(width), torch.zeros(width)]))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.norm.weight.device

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        scale, shift = self.project(told).chunk(2, dim=-1)
        normed: Tensor = scale * self.norm(x) + shift
        return normed


class Layer(nn.Module):
    """Attention both ways and a feed-forward network, each behind an adaptive norm."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = AdaptiveNorm(width), AdaptiveNorm(width)
        self.qkv, self.outward = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, real: Tensor, told: Tensor) -> Tensor:
        """[b, l + n, d] with `real` bool [b, 1, 1, l + n] to the same."""
        b, n, d = x.shape
        split = self.qkv(self.before_attention(x, told)).unflatten(
            -1, (3, self.heads, d // self.heads)
        )
        q, k, v = split.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=real)
        x = x + self.dropout(self.outward(mixed.transpose(1, 2).reshape(b, n, d)))
        return x + self.dropout(self.down(F.relu(self.up(self.before_mlp(x, told)))))


def sinusoids(steps: int, like: Tensor) -> Tensor:
    """Sines and cosines of positions [steps, d], interleaved (Vaswani et al. 2017)."""
    width = like.shape[1]
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    angles = torch.arange(steps)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).to(like)
