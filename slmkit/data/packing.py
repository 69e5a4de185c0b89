"""Batches of examples that lie end to end, as a pure function of the step.

As in `slmkit.data.batches`, which items make up training step n depends on nothing but (lengths,
frames, seed, n). A batch holds as many items as fit into `frames` without padding; items of any
length meet in one. Efficient packing of sequences: Krell et al. 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from slmkit.api import DataError

Indices = NDArray[np.int64]

OPEN = 64
"""Batches that are filled side by side: more are fuller and take longer to make."""


def packs(lengths: Sequence[int] | Indices, frames: int, seed: int, epoch: int) -> list[Indices]:
    """The batches of one epoch: every item once, in each at most `frames`, order shuffled.

    The items are shuffled and cut into portions of about `OPEN` batches; in each an item goes into
    the first batch that has room for it (first fit). The longest first would fill batches better,
    and make a small corpus's the same ones in every epoch. Raises DataError for an item that fits
    in no batch.
    """
    lengths = np.asarray(lengths, dtype=np.int64)
    if len(lengths) and lengths.max() > frames:
        worst = int(lengths.argmax())
        raise DataError(
            f"item {worst} has {lengths[worst]} frames, more than the {frames} of a batch: raise "
            f"batch_tokens or leave out what is so long"
        )
    rng = np.random.default_rng([seed, epoch])
    shuffled = rng.permutation(len(lengths))
    portion = lengths[shuffled].cumsum() // (OPEN * frames)
    cuts = np.flatnonzero(np.diff(portion)) + 1
    batches = [
        batch for some in np.split(shuffled, cuts) for batch in _first_fit(some, lengths, frames)
    ]
    order = rng.permutation(len(batches))
    return [batches[at] for at in order]


def packed_batch(lengths: Sequence[int] | Indices, step: int, seed: int, frames: int) -> Indices:
    """The items of training step `step` (from 0), a pure function of the arguments."""
    lengths = np.ascontiguousarray(lengths, dtype=np.int64)
    if len(lengths) == 0:
        raise DataError("there is nothing to make batches of: no item is left")
    return _epochs(lengths.tobytes(), frames, seed).batch(step)


def _first_fit(items: Indices, lengths: Indices, frames: int) -> list[Indices]:
    room = np.empty(len(items), dtype=np.int64)
    batches: list[list[int]] = []
    for item in items.tolist():
        fits = room[: len(batches)] >= lengths[item]
        at = int(fits.argmax()) if fits.any() else len(batches)
        if at == len(batches):
            batches.append([])
            room[at] = frames
        batches[at].append(item)
        room[at] -= lengths[item]
    return [np.array(batch, dtype=np.int64) for batch in batches]


class _Epochs:
    """Epochs differ in their number of batches: remembers where each ends, and the last one used.

    What it answers depends on its arguments alone.
    """

    def __init__(self, lengths: Indices, frames: int, seed: int) -> None:
        self.lengths, self.frames, self.seed = lengths, frames, seed
        self._ends: list[int] = []
        self._held: tuple[int, list[Indices]] = (-1, [])

    def batch(self, step: int) -> Indices:
        while not self._ends or self._ends[-1] <= step:
            before = self._ends[-1] if self._ends else 0
            self._ends.append(before + len(self._of(len(self._ends))))
        epoch = int(np.searchsorted(self._ends, step, side="right"))
        return self._of(epoch)[step - (self._ends[epoch - 1] if epoch else 0)]

    def _of(self, epoch: int) -> list[Indices]:
        if self._held[0] != epoch:
            self._held = epoch, packs(self.lengths, self.frames, self.seed, epoch)
        return self._held[1]


@lru_cache(maxsize=4)
def _epochs(lengths: bytes, frames: int, seed: int) -> _Epochs:
    return _Epochs(np.frombuffer(lengths, np.int64), frames, seed)
