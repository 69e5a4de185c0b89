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
from slmkit_decoding.sounds import UNKNOWN, Sounds, early, embed_known, lend_beginnings


class SoundStorm(nn.Module, Refiner):
    """A conformer that fills in masked codes (Borsos et al. 2023).

    In generation the first fine codebook is filled over `steps` passes, the surest codes first, by
    MaskGIT's cosine schedule (Chang et al. 2022); each further one in a single pass. Training masks
    what such a pass finds masked: of the first a share, of the one that is due all, and all of
    those after it (published: a share of any; whole masks teach more in a step). What is said is
    heard in the coarse codes: it takes no text.
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
        lend_beginnings(sounds, draw)
        level = early(len(self.projections), draw)
        due = sounds.target if level else self._masked(sounds.target, draw)
        wanted = sounds.codes[:, self.given + level][due]
        shown = sounds.codes.clone()
        shown[:, self.given + level].masked_fill_(due, UNKNOWN)
        shown[:, self.given + level + 1 :].masked_fill_(sounds.target[:, None], UNKNOWN)
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
            self._fill(sounds, self._share(turn + 1), draws)
        for level in range(1, len(self.projections)):
            unknown, scores = self._scores(sounds, level)
            sounds.codes[:, self.given + level][unknown] = scores.argmax(dim=-1)
        return sounds.targets()

    def _share(self, turn: int) -> float:
        """What of the first fine codebook is still masked before a pass, the first being 0."""
        return math.cos(math.pi / 2 * turn / self.options.steps)

    def _masked(self, target: Tensor, draw: torch.Generator) -> Tensor:
        """Frames [b, n] as one of the passes over the first fine codebook finds them masked, and
        one at least."""
        masked = torch.zeros_like(target)
        for row, mask in enumerate(target):
            frames = mask.nonzero()[:, 0]
            turn = int(torch.randint(self.options.steps, (), generator=draw))
            count = max(1, math.floor(self._share(turn) * len(frames)))
            order = torch.randperm(len(frames), generator=draw).to(frames.device)
            masked[row, frames[order[:count]]] = True
        return masked

    def _fill(self, sounds: Sounds, share: float, draws: Sequence[torch.Generator]) -> None:
        """Choose codes of the first fine codebook where it has none yet, and forget the least sure
        of them again, until only so great a `share` of each row's target is unknown."""
        book = sounds.codes[:, self.given]
        unknown, scores = self._scores(sounds, 0)
        by_row = scores.log_softmax(dim=-1).split(unknown.sum(dim=1).tolist())
        for row, likely in enumerate(by_row):
            chosen = self._choose(likely, draws[row])
            sure = likely.gather(1, chosen[:, None])[:, 0]
            left = min(len(chosen) - 1, math.floor(share * int(sounds.target[row].sum())))
            if left > 0:
                chosen[sure.argsort(stable=True)[:left]] = UNKNOWN
            book[row, unknown[row]] = chosen

    def _scores(self, sounds: Sounds, level: int) -> tuple[Tensor, Tensor]:
        """Where a level has no code yet, bool [b, n], and the scores [m, v] of codes there."""
        unknown = (sounds.codes[:, self.given + level] == UNKNOWN) & sounds.target
        hidden = self._hidden_states(sounds.codes, sounds.real)[unknown]
        return unknown, self.projections[level](hidden).float()

    def _choose(self, likely: Tensor, draw: torch.Generator) -> Tensor:
        """Codes [m] by log-probabilities [m, v]."""
        temperature = self.options.temperature
        if temperature == 0:
            return likely.argmax(dim=-1)
        # one draw a frame, where its sum lies: of noise on every code, drawing took a tenth of all
        sums = (likely / temperature).softmax(dim=-1).cumsum(dim=-1)
        spots = torch.rand(len(likely), generator=draw).to(likely.device) * sums[:, -1]
        return torch.searchsorted(sums, spots[:, None], right=True)[:, 0].clamp(
            max=likely.shape[1] - 1
        )

    def _hidden_states(self, codes: Tensor, real: Tensor) -> Tensor:
        """Codes [b, k, n] of which some are unknown to hidden states [b, n, d]."""
        x = embed_known(self.codes, codes)
        unknown = (codes[:, self.given :] == UNKNOWN).to(x.dtype)
        x = x + torch.einsum("bkn,kd->bnd", unknown, self.masks)
        for layer in self.layers:
            x = layer(x, real)
        return x
