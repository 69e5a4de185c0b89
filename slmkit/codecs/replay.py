"""A stream of sounds, heard twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO

import numpy as np
import torch
from torch import Tensor

Sounds = tuple[Tensor, Tensor]


class Replay:
    """Batches (wav, lengths) for one learner and then, from the first on, for another.

    What the first has taken waits in a file, so that memory holds one batch however many there are.
    """

    def __init__(self, batches: Iterable[Sounds], file: IO[bytes]) -> None:
        self._source, self._file = iter(batches), file
        self._written = 0

    def first(self) -> Iterator[Sounds]:
        """For the first learner, which may stop early or take none."""
        for batch in self._source:
            for tensor in batch:
                np.save(self._file, tensor.cpu().numpy(), allow_pickle=False)
            self._written += 1
            yield batch

    def again(self) -> Iterator[Sounds]:
        """For the second: all of them."""
        self._file.seek(0)
        for _ in range(self._written):
            wav, lengths = (torch.from_numpy(np.load(self._file)) for _ in range(2))
            yield wav, lengths
        yield from self._source
