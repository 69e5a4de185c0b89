"""Examples end to end in one row: each once an epoch, little padding, and none sees another."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from toy_lm import examples, model

from slmkit.api import DataError, MisfitError
from slmkit.codecs.attention import causal_attention
from slmkit.codecs.packed_attention import (
    Groups,
    grouped_attention,
    masked_attention,
    own_example,
)
from slmkit.data import packing
from slmkit.data.batches import Budget, length_buckets
from slmkit.data.packing import packed_batch, packs
from slmkit.lm.grid import Grid, GridBatch
from slmkit.lm.speechlm import SpeechLM
from slmkit.training.lm import Steps, check_packing
from slmkit.training.options import LmTraining

lengths_of_items = st.lists(st.integers(1, 300), min_size=1, max_size=80)
seeds = st.integers(0, 2**31)


@given(lengths_of_items, st.integers(300, 2000), seeds, st.integers(0, 50))
def test_an_epoch_holds_every_item_once_within_the_budget(
    lengths: list[int], frames: int, seed: int, epoch: int
) -> None:
    batches = packs(lengths, frames, seed, epoch)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert all(0 < sum(lengths[i] for i in batch) <= frames for batch in batches)


@given(lengths_of_items, st.integers(300, 900), seeds)
def test_a_step_is_the_same_whatever_was_asked_before(
    lengths: list[int], frames: int, seed: int
) -> None:
    expected = [batch for epoch in range(4) for batch in packs(lengths, frames, seed, epoch)]
    packing._epochs.cache_clear()
    for step in reversed(range(len(expected))):
        np.testing.assert_array_equal(packed_batch(lengths, step, seed, frames), expected[step])
    packing._epochs.cache_clear()
    middle = len(expected) // 2
    np.testing.assert_array_equal(packed_batch(lengths, middle, seed, frames), expected[middle])


def test_epochs_and_seeds_differ() -> None:
    lengths = np.random.default_rng(0).integers(50, 400, 300)

    def companions(seed: int, epoch: int) -> set[frozenset[int]]:
        return {frozenset(batch.tolist()) for batch in packs(lengths, 4000, seed, epoch)}

    assert not companions(0, 0) & companions(0, 1)
    assert not companions(0, 0) & companions(1, 0)


def test_less_is_padding_than_in_rows_of_like_length() -> None:
    draw = np.random.default_rng(0)
    lengths = np.minimum(np.exp(draw.normal(4.3, 1.0, 3000)).astype(int) + 5, 2000)
    bucketed = length_buckets(lengths, Budget(max_frames=4096), 0, 0)
    packed = packs(lengths, 4096, 0, 0)
    rows = sum(len(batch) * _up(lengths[batch].max()) for batch in bucketed)
    ends = sum(_up(lengths[batch].sum()) for batch in packed)
    share = {"buckets": 1 - lengths.sum() / rows, "packing": 1 - lengths.sum() / ends}
    full = {"buckets": rows / len(bucketed) / 4096, "packing": ends / len(packed) / 4096}
    print("padding", share, "full", full, "batches", len(bucketed), len(packed))
    assert share["packing"] < 0.005 < share["buckets"]
    assert full["packing"] > 0.95
    assert len(packed) < len(bucketed)


def _up(length: int, multiple: int = 8) -> int:
    return -(-int(length) // multiple) * multiple


def test_what_fits_in_no_batch_is_refused() -> None:
    with pytest.raises(DataError, match="item 1 has 900 frames, more than the 500"):
        packed_batch([10, 900], 0, 0, 500)
    with pytest.raises(DataError, match="no item is left"):
        packed_batch([], 0, 0, 500)


def positions_of(*rows: list[int]) -> Tensor:
    """Positions [b, l] of examples of these lengths in each row."""
    return torch.stack([torch.cat([torch.arange(n) for n in row]) for row in rows])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), seeds)
def test_groups_and_masks_give_each_example_what_it_gets_alone(
    lengths: list[int], seed: int
) -> None:
    positions = positions_of(lengths, lengths[::-1])
    draw = torch.Generator().manual_seed(seed)
    shape = (2, 3, positions.shape[1], 4)
    given = [torch.randn(shape, generator=draw).requires_grad_() for _ in range(3)]
    aim = torch.randn(shape, generator=draw)
    alone = []
    for row, own in enumerate((lengths, lengths[::-1])):
        parts = zip(*(t[row : row + 1].split(own, dim=2) for t in given), strict=True)
        alone.append(torch.cat([causal_attention(*part) for part in parts], dim=2))
    results = []
    for mixed in (
        torch.cat(alone),
        grouped_attention(*given, Groups.of(positions)),
        masked_attention(*given, own_example(positions)),
    ):
        results.append([mixed, *torch.autograd.grad((mixed * aim).sum(), given)])
    torch.testing.assert_close(results[1], results[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(results[2], results[0], atol=1e-5, rtol=1e-4)


def test_groups_hold_like_lengths_and_repeat_little() -> None:
    lengths = [100, 90, 81, 79, 10, 9, 2]
    groups = Groups.of(positions_of(lengths))
    assert groups.sizes == ((3, 100), (1, 79), (2, 10), (1, 2))
    assert len(groups.spare) == 10 + 19 + 1
    steps = torch.arange(sum(lengths))
    assert torch.equal(groups.there[groups.back], steps)


DECODINGS = [("flat", 1), ("delay", 3), ("depth", 2)]
LENGTHS = [9, 1, 30, 4, 12, 12, 0]


def alone_and_packed(decoding: str, codebooks: int) -> tuple[SpeechLM, list[Grid], GridBatch]:
    lm = model(decoding, codebooks)
    grids = examples(lm, LENGTHS)
    return lm, grids, GridBatch.packed(grids, multiple=8)


@pytest.mark.parametrize(("decoding", "codebooks"), DECODINGS)
def test_loss_and_gradients_are_the_mean_over_the_examples_alone(
    decoding: str, codebooks: int
) -> None:
    lm, grids, batch = alone_and_packed(decoding, codebooks)
    parameters = list(lm.parameters())
    singles = [GridBatch.of([grid]) for grid in grids]
    counts = torch.tensor([float(single.learn[:, :, 1:].sum()) for single in singles])
    losses = torch.stack([lm.loss(single) for single in singles])
    expected = (losses * counts).sum() / counts.sum()
    found = lm.loss(batch)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    due = torch.autograd.grad(expected, parameters)
    for ours, theirs in zip(torch.autograd.grad(found, parameters), due, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    # the control: without their positions the examples read each other
    crossed = lm.loss(dataclasses.replace(batch, positions=None))
    assert abs(float(crossed.detach() - expected.detach())) > 1e-4


def test_no_target_crosses_a_border_and_no_other_is_lost() -> None:
    _, grids, _ = alone_and_packed("flat", 1)
    learnt = [Grid(grid.tokens, grid.real, np.ones_like(grid.learn)) for grid in grids]
    batch = GridBatch.packed(learnt, multiple=8)
    assert not batch.learn[0, :, batch.positions[0] == 0].any()
    due = sum(grid.steps - 1 for grid in learnt)
    assert int(batch.learn[:, :, 1:].sum()) == due
    assert int(batch.lengths) == sum(grid.steps for grid in learnt)
    assert batch.tokens.shape[2] % 8 == 0


@pytest.mark.parametrize(("decoding", "codebooks"), DECODINGS)
def test_no_example_sees_another(decoding: str, codebooks: int) -> None:
    """By exchanging one, and by gradient."""
    lm, grids, batch = alone_and_packed(decoding, codebooks)
    starts = np.cumsum([0, *(grid.steps for grid in grids)])
    own = slice(int(starts[2]), int(starts[3]))
    others = torch.ones(batch.tokens.shape[2], dtype=torch.bool)
    others[own] = False
    embedded = lm.embed(batch.tokens).detach().requires_grad_()
    before = lm.backbone(embedded, batch.positions)
    (gradient,) = torch.autograd.grad(before[:, own].square().sum(), embedded)
    assert not gradient[:, others].any()
    assert gradient[:, own].any(dim=-1).all()
    tokens = batch.tokens.clone()
    tokens[:, :, own] = tokens[:, :, own].flip(2)
    after = lm.backbone(lm.embed(tokens), batch.positions)
    assert (after[:, own] - before[:, own]).abs().max() > 1e-3
    torch.testing.assert_close(after[:, others], before[:, others], atol=1e-6, rtol=0)


def test_steps_are_packed_where_it_is_asked() -> None:
    lm = model()
    grids = examples(lm, [5 + 3 * (n % 9) for n in range(40)])
    training = LmTraining(steps=6, batch_tokens=200, packing=True, noise=0.3)
    steps = Steps(grids, training, lm.vocabulary, seed=0)
    batch = steps[3]
    assert batch.tokens.shape[:2] == (1, 1)
    assert 150 < int(batch.lengths) <= 200
    assert torch.equal(batch.tokens, steps[3].tokens)
    assert (batch.given != batch.tokens).any()
    assert torch.isfinite(lm.loss(batch))


def test_a_backbone_that_cannot_keep_examples_apart_is_refused() -> None:
    lm = model()
    check_packing(lm)
    lm.backbone.forward = lambda embedded: embedded
    with pytest.raises(MisfitError, match="leave out packing"):
        check_packing(lm)
