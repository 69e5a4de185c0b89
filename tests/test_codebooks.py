"""What codes make of their codebooks: against counting by hand, and at both ends."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slmkit.api import CodeSpec, DataError, MisfitError
from slmkit.data.books import books_of, check_books
from slmkit.data.codebooks import (
    bits_per_second,
    entropy_coded_bits_per_second,
    frames_of,
    use_of_codebooks,
)
from slmkit.data.shards import StoredCodes

SPEC = CodeSpec(16000, 320, (4, 8, 2))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=20), min_size=1, max_size=6))
def test_usage_and_entropy_are_those_of_counting(rows: list[list[int]]) -> None:
    (found,) = use_of_codebooks([np.array([row]) for row in rows], (8,))
    counts = Counter(code for row in rows for code in row)
    total = sum(counts.values())
    expected = -sum(n / total * math.log2(n / total) for n in counts.values())
    assert found.usage == len(counts) / 8
    assert found.entropy == pytest.approx(expected, abs=1e-12)
    assert found.perplexity == pytest.approx(2**expected)


def test_a_codebook_used_evenly_costs_its_bits_and_one_of_one_entry_nothing() -> None:
    codes = np.stack([np.arange(40) % 4, np.arange(40) % 8, np.zeros(40, int)])
    use = use_of_codebooks([codes, codes], SPEC.codebook_sizes)
    assert [book.entropy for book in use] == pytest.approx([2.0, 3.0, 0.0])
    assert [book.usage for book in use] == [1.0, 1.0, 0.5]
    assert bits_per_second(SPEC, (0, 1, 2)) == SPEC.bits_per_second == 50 * 6
    value, low, high = entropy_coded_bits_per_second(SPEC, use, (0, 1, 2))
    assert (value, low, high) == pytest.approx((250.0, 250.0, 250.0))
    assert entropy_coded_bits_per_second(SPEC, use, (1,))[0] == pytest.approx(150.0)


def test_the_interval_of_an_entropy_covers_that_of_all_speech() -> None:
    """Utterances vary about one distribution, whose entropy is known."""
    base = np.arange(1, 17) / np.arange(1, 17).sum()
    true = float(-(base * np.log2(base)).sum())
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        shares = rng.dirichlet(30 * base, size=80)
        rows = [rng.choice(16, size=(1, 150), p=each) for each in shares]
        (book,) = use_of_codebooks(rows, (16,))
        _, low, high = entropy_coded_bits_per_second(CodeSpec(100, 1, (16,)), [book], (0,))
        assert low < 100 * book.entropy < high
        covered += low <= 100 * true <= high
    assert covered >= 85


def test_merged_units_count_as_often_as_they_were_heard() -> None:
    row = StoredCodes("u", np.array([[3, 1]]), durations=np.array([2, 3]))
    assert frames_of(row).tolist() == [[3, 3, 1, 1, 1]]
    assert frames_of(StoredCodes("u", np.array([[3, 1]]))).tolist() == [[3, 1]]


def test_no_frame_is_an_error() -> None:
    with pytest.raises(DataError, match="no frame"):
        use_of_codebooks([], (4,))


@pytest.mark.parametrize(("books", "chosen"),
                         [("all", (0, 1, 2)), ("first", (0,)), ("rest", (1, 2)), ("2", (1,)),
                          ("2:3", (1, 2)), ("1,3", (0, 2)), ("3,1:2", (0, 1, 2))])  # fmt: skip
def test_codebooks_are_counted_from_one(books: str, chosen: tuple[int, ...]) -> None:
    check_books(books)
    assert books_of(books, 3) == chosen


@pytest.mark.parametrize("books", ["", "none", "0", "3:2", "1:", "-1", "1;2"])
def test_what_names_no_codebooks_is_refused(books: str) -> None:
    with pytest.raises(ValueError, match="books"):
        check_books(books)


@pytest.mark.parametrize(("books", "count"), [("4", 3), ("2:4", 3), ("rest", 1)])
def test_what_a_tokenizer_has_not_is_refused(books: str, count: int) -> None:
    with pytest.raises(MisfitError, match=f"that has {count}"):
        books_of(books, count)
