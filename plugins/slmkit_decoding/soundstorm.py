"""The refiner `soundstorm`.

Letters: b (batch), n (frame of prompt and target), d (width), v (codes of a codebook).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slmkit.api import CodeSpec, Draft, Refiner
from slmkit_decoding.conformer import Conformer
from slmkit_decoding.plugin import SoundStormOptions
from slmkit_decoding.sounds import UNKNOWN, Sounds, embed_known, one_of


class SoundStorm(nn.Module, Refiner):
    """A conformer that fills in masked codes (Borsos et al. 2023).

    In training a random beginning is given, in a random codebook a share of the codes behind it is
    masked, and in those after it all are. In generation the first fine codebook is filled over
    `steps` passes, the surest codes first, by MaskGIT's cosine schedule (Chang et al. 2022); each
    further one in a single pass. What is said is heard in the coarse codes: it takes no text.
    """

    def __init__(self, options: SoundStormOptions, spec: CodeSpec, given: int, words: int) -> None:
        super().__init__()
        sizes, width = spec.codebook_sizes, options.width
        self.options, self.given = options, given
        self.codes = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        self.masks = nn.Parameter(torch.randn(len(sizes) - given, width) * 0.02)
        self.layers = nn.ModuleList(
            Conformer(width, options.heads, options.dropout) for _ in range(options.layers)
        )
        self.projections = nn.ModuleList(nn.Linear(width, size) for size in sizes[given:])
        for table in self.codes:
            nn.init.normal_(table.weight, std=0.02)  # type: ignore[arg-type]

    def loss(
        self, drafts: Sequence[Draft], codes: Sequence[np.ndarray], draw: torch.Generator
    ) -> Tensor:
        sounds = Sounds.of(drafts, len(self.codes), self.masks.device, codes)
        level = one_of(len(self.projections), draw)
        due = _hidden(sounds.target, draw)
        wanted = sounds.codes[:, self.given + level][due]
        shown = sounds.codes.clone()
        shown[:, self.given + level].masked_fill_(due, UNKNOWN)
        later = _behind_first(sounds.target, due)
        shown[:, self.given + level + 1 :].masked_fill_(later[:, None], UNKNOWN)
        scores = self.projections[level](self._hidden_states(shown, sounds.real)[due])
        return F.cross_entropy(scores.float(), wanted)

    def matrices(self) -> list[nn.Parameter]:
        return [each for each in self.layers.parameters() if each.dim() == 2]

    @torch.no_grad()
    def refine(self, drafts: Sequence[Draft], draws: Sequence[torch.Generator]) -> list[np.ndarray]:
        sounds = Sounds.of(drafts, len(self.codes), self.masks.device)
        if not bool(sounds.target.any()):
            return sounds.targets()
        for turn in range(self.options.steps):
            share = math.cos(math.pi / 2 * (turn + 1) / self.options.steps)
            self._fill(sounds, 0, share, draws)
        for level in range(1, len(self.projections)):
            self._fill(sounds, level, 0.0, None)
        return sounds.targets()

    def _fill(
        self, sounds: Sounds, level: int, share: float, draws: Sequence[torch.Generator] | None
    ) -> None:
        """Choose codes where a level has none yet, and forget the least sure of them again, until
        only so great a `share` of each row's target is unknown."""
        book = sounds.codes[:, self.given + level]
        unknown = (book == UNKNOWN) & sounds.target
        hidden = self._hidden_states(sounds.codes, sounds.real)
        scores = self.projections[level](hidden).float().log_softmax(dim=-1)
        for row, missing in enumerate(unknown):
            likely = scores[row, missing]
            chosen = self._choose(likely, None if draws is None else draws[row])
            sure = likely.gather(1, chosen[:, None])[:, 0]
            left = min(len(chosen) - 1, math.floor(share * int(sounds.target[row].sum())))
            if left > 0:
                chosen[sure.argsort(stable=True)[:left]] = UNKNOWN
            book[row, missing] = chosen

    def _choose(self, likely: Tensor, draw: torch.Generator | None) -> Tensor:
        """Codes [m] by log-probabilities [m, v]."""
        temperature = self.options.temperature
        if draw is None or temperature == 0:
            return likely.argmax(dim=-1)
        waits = torch.empty(likely.shape).exponential_(generator=draw)
        return (likely / temperature - waits.log().to(likely.device)).argmax(dim=-1)

    def _hidden_states(self, codes: Tensor, real: Tensor) -> Tensor:
        """Codes [b, k, n] of which some are unknown to hidden states [b, n, d]."""
        x = embed_known(self.codes, codes)
        unknown = (codes[:, self.given :] == UNKNOWN).to(x.dtype)
        x = x + torch.einsum("bkn,kd->bnd", unknown, self.masks)
        for layer in self.layers:
            x = layer(x, real)
        return x


def _hidden(target: Tensor, draw: torch.Generator) -> Tensor:
    """Which frames [b, n] are masked: behind a random beginning a share by the cosine schedule, and
    one at least."""
    hidden = torch.zeros_like(target)
    for row, mask in enumerate(target):
        frames = mask.nonzero()[:, 0]
        rest = frames[one_of(max(1, len(frames)), draw) if len(frames) else 0 :]
        angle = math.pi / 2 * float(torch.rand((), generator=draw))
        count = max(1, round(math.cos(angle) * len(rest)))
        order = torch.randperm(len(rest), generator=draw).to(rest.device)
        hidden[row, rest[order[:count]]] = True
    return hidden


def _behind_first(target: Tensor, due: Tensor) -> Tensor:
    """The target frames [b, n] from the first masked one on."""
    return target & (due.cumsum(dim=1) > 0)
