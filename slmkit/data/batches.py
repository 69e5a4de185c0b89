"""Batches of like length, as a pure function of the step.

Which items make up training step n depends on nothing but (lengths, budget, seed, n), so that a
run taken up at step n sees what the unbroken run would have seen; there is no sampler whose
position has to be saved. With several processes, rank r of w takes step `n * w + r`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from slmkit.api import DataError

Indices = NDArray[np.int64]

MAX_SHRINK = 0.8
"""Items are shuffled among those at least this fraction as long as the longest of their pool."""

LEAST_BATCHES = 2
"""... and among the items of at least this many batches, else an epoch would equal the last."""


@dataclass(frozen=True)
class Budget:
    """How much one batch may hold; give one of the two or both.

    Attributes:
        max_items: number of items.
        max_frames: items times the longest of them, which is what padding makes of it, in the
            unit of the lengths.
    """

    max_items: int | None = None
    max_frames: int | None = None

    def __post_init__(self) -> None:
        limits = [limit for limit in (self.max_items, self.max_frames) if limit is not None]
        if not limits or min(limits) < 1:
            raise ValueError(f"a batch needs a limit of at least 1: {self}")

    def items(self, longest: int) -> int:
        """How many items of up to this length one batch may hold; 0: not even one."""
        by_frames = None if self.max_frames is None else self.max_frames // max(1, longest)
        return min(limit for limit in (self.max_items, by_frames) if limit is not None)


def length_buckets(
    lengths: Sequence[int] | Indices, budget: Budget, seed: int, epoch: int
) -> list[Indices]:
    """The batches of one epoch: every item once, items of like length together, order shuffled.

    Items are sorted by length and cut into pools; an epoch shuffles within the pools, cuts each
    into batches that fit the budget at the pool's longest item, and shuffles those. The number of
    batches is the same in every epoch. Raises DataError for an item that fits in no batch.
    """
    rng = np.random.default_rng([seed, epoch])
    batches: list[Indices] = []
    for pool, size in _pools(np.asarray(lengths, dtype=np.int64), budget):
        shuffled = rng.permutation(pool)
        batches.extend(shuffled[at : at + size] for at in range(0, len(pool), size))
    order = rng.permutation(len(batches))
    return [batches[at] for at in order]


def step_batch(lengths: Sequence[int] | Indices, step: int, seed: int, budget: Budget) -> Indices:
    """The items of training step `step` (from 0), a pure function of the arguments."""
    lengths = np.ascontiguousarray(lengths, dtype=np.int64)
    if len(lengths) == 0:
        raise DataError("there is nothing to make batches of: no item is left")
    first = _epoch(lengths.tobytes(), budget, seed, 0)
    epoch, index = divmod(step, len(first))
    return _epoch(lengths.tobytes(), budget, seed, epoch)[index]


def pad_wavs(wavs: Sequence[NDArray[np.float32]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Waves [n] of different lengths as one batch: (float32 [b, n] with zeros, int64 [b])."""
    lengths = torch.tensor([len(wav) for wav in wavs], dtype=torch.int64)
    batch = torch.zeros(len(wavs), int(lengths.max()))
    for row, wav in zip(batch, wavs, strict=True):
        row[: len(wav)] = torch.from_numpy(np.asarray(wav, dtype=np.float32))
    return batch, lengths


@lru_cache(maxsize=4)
def _epoch(lengths: bytes, budget: Budget, seed: int, epoch: int) -> tuple[Indices, ...]:
    return tuple(length_buckets(np.frombuffer(lengths, np.int64), budget, seed, epoch))


def _pools(lengths: Indices, budget: Budget) -> list[tuple[Indices, int]]:
    """(items, batch size) of each pool, the longest items first.

    All pools but the last fill their batches to the last item.
    """
    order = np.argsort(-lengths, kind="stable")
    falling = -lengths[order]
    pools = []
    start = 0
    while start < len(order):
        longest = int(-falling[start])
        size = budget.items(longest)
        if size == 0:
            raise DataError(
                f"item {order[start]} has {longest} frames, more than the {budget.max_frames} of "
                f"a batch: raise max_frames or leave out what is so long"
            )
        alike = int(np.searchsorted(falling, -MAX_SHRINK * longest, side="right")) - start
        stop = start + max(LEAST_BATCHES, alike // size) * size
        if len(order) - stop < LEAST_BATCHES * size:
            stop = len(order)
        pools.append((order[start:stop], size))
        start = stop
    return pools
