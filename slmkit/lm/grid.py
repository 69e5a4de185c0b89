"""The grid that a layout makes: tokens of several streams, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from slmkit.api import Draft


@dataclass(frozen=True, eq=False)
class Grid:
    """One example laid out.

    Attributes:
        tokens: int64 [s, l].
        real: bool [s, l], False where a stream has nothing at a step.
        learn: bool [s, l], where the loss counts when that token is the target.
        spans: for each segment, the half-open range of steps in which it lies.
        drafts: what a refiner learns, each with its codes [k, t].
        going: the codes [k, t] of an utterance that has not ended with the grid.
        prefix: steps at the beginning that are given text, which a prefix LM reads both ways.
    """

    tokens: np.ndarray
    real: np.ndarray
    learn: np.ndarray
    spans: tuple[tuple[int, int], ...] = ()
    drafts: tuple[tuple[Draft, np.ndarray], ...] = ()
    going: np.ndarray | None = None
    prefix: int = 0

    @property
    def steps(self) -> int:
        """Number of steps l."""
        return int(self.tokens.shape[1])

    def cut(self, most: int) -> Grid:
        """The first `most` steps."""
        kept = self.tokens[:, :most], self.real[:, :most], self.learn[:, :most]
        prefix = min(self.prefix, most)
        return replace(self, tokens=kept[0], real=kept[1], learn=kept[2], prefix=prefix)

    def _repr_html_(self) -> str:
        from slmkit.drawing.grid import grid_html

        return grid_html(self.tokens.tolist(), self.real.tolist(), self.learn.tolist())


@dataclass(frozen=True, eq=False)
class GridBatch:
    """Grids of different lengths side by side, padded at the end.

    Attributes:
        tokens: int64 [b, s, l]; padding is token 0 and is never learnt.
        learn: bool [b, s, l].
        lengths: int64 [b].
        given: int64 [b, s, l], what the model reads where that is not `tokens`; these stay the
            targets.
        positions: int64 [b, l], where several examples lie end to end in a row: the place of each
            step in its example, a new one beginning at each 0.
        drafts: those of all grids.
        prefix: bool [b, l], the steps of each example's prefix; None: there is none.
    """

    tokens: Tensor
    learn: Tensor
    lengths: Tensor
    given: Tensor | None = None
    positions: Tensor | None = None
    drafts: tuple[tuple[Draft, np.ndarray], ...] = ()
    prefix: Tensor | None = None

    @classmethod
    def of(cls, grids: Sequence[Grid], multiple: int = 1) -> GridBatch:
        """Stack grids; the common length is rounded up to a multiple."""
        longest = max(grid.steps for grid in grids)
        longest = -(-longest // multiple) * multiple
        streams = grids[0].tokens.shape[0]
        tokens = torch.zeros(len(grids), streams, longest, dtype=torch.int64)
        learn = torch.zeros(len(grids), streams, longest, dtype=torch.bool)
        for row, grid in enumerate(grids):
            tokens[row, :, : grid.steps] = torch.from_numpy(grid.tokens)
            learn[row, :, : grid.steps] = torch.from_numpy(grid.learn & grid.real)
        lengths = torch.tensor([grid.steps for grid in grids])
        prefix = torch.arange(longest) < torch.tensor([grid.prefix for grid in grids])[:, None]
        drafts = tuple(d for grid in grids for d in grid.drafts)
        return cls(tokens, learn, lengths, drafts=drafts, prefix=prefix)

    @classmethod
    def packed(cls, grids: Sequence[Grid], multiple: int = 1) -> GridBatch:
        """Grids end to end in one row, its length rounded up to a multiple.

        The first step of each is no target: what stands before it is another example. The padding
        counts as an example of its own.
        """
        lengths = [grid.steps for grid in grids]
        spare = -sum(lengths) % multiple
        streams = grids[0].tokens.shape[0]
        padding = np.zeros((streams, spare), dtype=np.int64)
        positions = np.concatenate([np.arange(n) for n in (*lengths, spare)])
        tokens = np.concatenate([*(g.tokens for g in grids), padding], axis=1)
        learn = np.concatenate([*(g.learn & g.real for g in grids), padding > 0], axis=1)
        learn[:, positions == 0] = False
        prefix = np.concatenate([np.arange(g.steps) < g.prefix for g in grids] + [padding[0] > 0])
        return cls(
            torch.from_numpy(tokens)[None],
            torch.from_numpy(learn)[None],
            torch.tensor([sum(lengths)]),
            positions=torch.from_numpy(positions)[None],
            drafts=tuple(d for grid in grids for d in grid.drafts),
            prefix=torch.from_numpy(prefix)[None],
        )

    def to(self, device: torch.device | str) -> GridBatch:
        """The same batch on another device."""
        held = {each.name: getattr(self, each.name) for each in fields(self)}
        moved = {name: v.to(device) for name, v in held.items() if isinstance(v, Tensor)}
        return replace(self, **moved)
