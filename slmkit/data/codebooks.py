"""How well codes use their codebooks, and what they cost to send. Letters: k (codebook), t (frame),
u (utterance), c (entry)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slmkit.api import CodeSpec, DataError
from slmkit.data.shards import StoredCodes

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class BookUse:
    """How one codebook is used.

    Attributes:
        entries: how many it has.
        usage: share of them that occur, 0..1.
        entropy: of how often each occurs, bits; at most log2(entries).
    """

    entries: int
    usage: float
    entropy: float

    @property
    def perplexity(self) -> float:
        """As many equally frequent entries would have the same entropy."""
        return float(2.0**self.entropy)

    @classmethod
    def of(cls, counts: Counts) -> BookUse:
        """Of how often each entry [c] occurs. Raises DataError where none does."""
        total = counts.sum()
        if total == 0:
            raise DataError("the use of a codebook cannot be measured: there is no frame")
        shares = counts[counts > 0] / total
        entropy = float(-(shares * np.log2(shares)).sum())
        return cls(len(counts), len(shares) / len(counts), max(0.0, entropy))


def count_entries(
    rows: Iterable[NDArray[np.int64]], codebook_sizes: Sequence[int]
) -> tuple[Counts, ...]:
    """How often each entry of each codebook occurs in codes [k, t]: [c] for each codebook."""
    counts = tuple(np.zeros(size, dtype=np.int64) for size in codebook_sizes)
    for codes in rows:
        for book, values in zip(counts, codes, strict=True):
            book += np.bincount(values, minlength=len(book))
    return counts


def frames_of(row: StoredCodes) -> NDArray[np.int64]:
    """The codes [k, t] of a stored utterance, each merged unit as often as it was heard."""
    return row.codes if row.durations is None else np.repeat(row.codes, row.durations, axis=1)


def bits_per_second(spec: CodeSpec, books: Sequence[int]) -> float:
    """What some codebooks, counted from 0, cost as they are: log2 of their entries a frame."""
    return spec.frame_rate * float(sum(np.log2(spec.codebook_sizes[book]) for book in books))


def entropy_coded_bits_per_second(
    spec: CodeSpec, use: Sequence[BookUse], books: Sequence[int]
) -> float:
    """What they cost under the best code that looks at one entry at a time (Shannon 1948).

    A model of what comes next, such as EnCodec's, may do better.
    """
    return spec.frame_rate * sum(use[book].entropy for book in books)
