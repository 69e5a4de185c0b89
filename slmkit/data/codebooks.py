"""How well codes use their codebooks, and what they cost to send. Letters: k (codebook), t (frame),
u (utterance), c (entry)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slmkit.api import CodeSpec, DataError
from slmkit.data.intervals import jackknife
from slmkit.data.shards import StoredCodes

Counts = NDArray[np.int64]


GROUPS = 100
"""Into so many groups utterances are dealt, each of which is left out once for an interval."""


@dataclass(frozen=True)
class BookUse:
    """How one codebook is used.

    Attributes:
        entries: how many it has.
        usage: share of them that occur, 0..1.
        entropy: of how often each occurs, bits; at most log2(entries).
        without: the entropy with each group of utterances left out.
    """

    entries: int
    usage: float
    entropy: float
    without: tuple[float, ...] = ()

    @property
    def perplexity(self) -> float:
        """As many equally frequent entries would have the same entropy."""
        return float(2.0**self.entropy)

    @classmethod
    def of(cls, counts: Counts) -> BookUse:
        """Of how often each entry occurs in each group of utterances, [g, c]. Raises DataError
        where there is no frame."""
        whole = counts.sum(axis=0)
        if not whole.any():
            raise DataError("the use of a codebook cannot be measured: there is no frame")
        rest = (whole - group for group in counts if group.any())
        without = tuple(entropy(left) for left in rest if left.any())
        return cls(len(whole), np.count_nonzero(whole) / len(whole), entropy(whole), without)


def entropy(counts: Counts) -> float:
    """Of entries that occur so often [c], bits (Shannon 1948)."""
    shares = counts[counts > 0] / counts.sum()
    return max(0.0, float(-(shares * np.log2(shares)).sum()))


def use_of_codebooks(
    rows: Iterable[NDArray[np.int64]], codebook_sizes: Sequence[int]
) -> list[BookUse]:
    """How codes [k, t] of many utterances use each codebook. Raises DataError without a frame."""
    counts = [np.zeros((GROUPS, size), dtype=np.int64) for size in codebook_sizes]
    for index, codes in enumerate(rows):
        for book, values in zip(counts, codes, strict=True):
            book[index % GROUPS] += np.bincount(values, minlength=book.shape[1])
    return [BookUse.of(book) for book in counts]


def frames_of(row: StoredCodes) -> NDArray[np.int64]:
    """The codes [k, t] of a stored utterance, each merged unit as often as it was heard."""
    return row.codes if row.durations is None else np.repeat(row.codes, row.durations, axis=1)


def bits_per_second(spec: CodeSpec, books: Sequence[int]) -> float:
    """What some codebooks, counted from 0, cost as they are: log2 of their entries a frame."""
    return spec.frame_rate * float(sum(np.log2(spec.codebook_sizes[book]) for book in books))


def entropy_coded_bits_per_second(
    spec: CodeSpec, use: Sequence[BookUse], books: Sequence[int]
) -> tuple[float, float, float]:
    """(value, low, high) of what they cost under the best code that looks at one entry at a time.

    A model of what comes next, such as EnCodec's, may do better.
    """
    chosen = [use[book] for book in books]
    without = [
        spec.frame_rate * sum(each) for each in zip(*(b.without for b in chosen), strict=True)
    ]
    return jackknife(spec.frame_rate * sum(book.entropy for book in chosen), without)
