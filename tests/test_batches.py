"""Batches: each item once an epoch, within the budget, and known from the step alone."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from slmkit.api import DataError
from slmkit.data.batches import Budget, length_buckets, pad_wavs, step_batch

lengths_of_items = st.lists(st.integers(1, 300), min_size=1, max_size=80)
budgets = st.one_of(
    st.builds(Budget, max_items=st.integers(1, 20)),
    st.builds(Budget, max_frames=st.integers(300, 2000)),
    st.builds(Budget, max_items=st.integers(1, 20), max_frames=st.integers(300, 2000)),
)
seeds = st.integers(0, 2**31)


@given(lengths_of_items, budgets, seeds, st.integers(0, 50))
def test_an_epoch_holds_every_item_once_within_the_budget(
    lengths: list[int], budget: Budget, seed: int, epoch: int
) -> None:
    batches = length_buckets(lengths, budget, seed, epoch)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    for batch in batches:
        assert 0 < len(batch) <= (budget.max_items or len(lengths))
        longest = max(lengths[i] for i in batch)
        assert budget.max_frames is None or longest * len(batch) <= budget.max_frames
    assert len(batches) == len(length_buckets(lengths, budget, seed, epoch + 1))


@given(lengths_of_items, budgets, seeds, st.integers(0, 3))
def test_steps_run_through_the_epochs(
    lengths: list[int], budget: Budget, seed: int, epoch: int
) -> None:
    expected = length_buckets(lengths, budget, seed, epoch)
    steps = range(epoch * len(expected), (epoch + 1) * len(expected))
    for step, batch in zip(reversed(steps), reversed(expected), strict=True):
        np.testing.assert_array_equal(step_batch(lengths, step, seed, budget), batch)


def test_another_process_finds_the_same_batch() -> None:
    code = (
        "from slmkit.data.batches import *; "
        "print(step_batch(list(range(1, 90)), 123, 7, Budget(max_frames=400)).tolist())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = step_batch(np.arange(1, 90), 123, 7, Budget(max_frames=400)).tolist()
    assert there.stdout.strip() == str(here)


def test_epochs_and_seeds_differ() -> None:
    lengths = np.random.default_rng(0).integers(50, 400, 300)
    budget = Budget(max_items=16)

    def companions(seed: int, epoch: int) -> set[frozenset[int]]:
        return {frozenset(batch.tolist()) for batch in length_buckets(lengths, budget, seed, epoch)}

    assert not companions(0, 0) & companions(0, 1)
    assert not companions(0, 0) & companions(1, 0)


def test_little_is_padding_and_few_batches_are_short() -> None:
    lengths = np.random.default_rng(0).integers(50, 500, 4000)
    batches = length_buckets(lengths, Budget(max_frames=8000), 0, 0)
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert lengths.sum() / padded > 0.85
    assert padded / (8000 * len(batches)) > 0.85


def test_what_fits_in_no_batch_is_refused() -> None:
    with pytest.raises(DataError, match="item 1 has 900 frames, more than the 500"):
        step_batch([10, 900], 0, 0, Budget(max_frames=500))
    with pytest.raises(DataError, match="no item is left"):
        step_batch([], 0, 0, Budget(max_items=2))
    with pytest.raises(ValueError, match="needs a limit"):
        Budget()


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6))
def test_padding_keeps_each_wave(lengths: list[int]) -> None:
    wavs = [np.full(n, i + 1, dtype=np.float32) for i, n in enumerate(lengths)]
    batch, found = pad_wavs(wavs)
    assert found.tolist() == lengths
    assert batch.shape == (len(lengths), max(lengths))
    for row, wav, n in zip(batch, wavs, lengths, strict=True):
        assert torch.equal(row[:n], torch.from_numpy(wav))
        assert row[n:].count_nonzero() == 0
