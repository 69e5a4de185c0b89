"""Residual and finite scalar quantizers: against slow ones, in training, in several processes."""

from __future__ import annotations

import socket

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, multiprocessing
from torch import distributed as processes

from slmkit.codecs.codebooks import Learning, start
from slmkit.codecs.fsq import FiniteScalarQuantizer
from slmkit.codecs.quantizer import TILE, ResidualQuantizer


def filled(books: int = 4, size: int = 16, width: int = 5) -> ResidualQuantizer:
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(books, size, width).eval()
    quantizer.scatter(torch.randn(2, width, 100), torch.Generator().manual_seed(1))
    return quantizer


def slowly(quantizer: ResidualQuantizer, latents: Tensor, books: int) -> Tensor:
    """Every distance to every entry, in double precision, a frame at a time."""
    codes = torch.zeros(len(latents), books, latents.shape[-1], dtype=torch.int64)
    for row in range(len(latents)):
        for frame in range(latents.shape[-1]):
            left = latents[row, :, frame].double()
            for book in range(books):
                entries = quantizer.entries[book].double()
                code = int((left - entries).square().sum(dim=-1).argmin())
                codes[row, book, frame] = code
                left = left - entries[code]
    return codes


@pytest.mark.parametrize(("books", "frames"), [(4, 40), (2, 1), (4, TILE // 2 + 1)])
def test_codes_are_the_nearest_entries(books: int, frames: int) -> None:
    quantizer = filled()
    latents = torch.randn(2, 5, frames)
    codes = quantizer.encode(latents, books)
    assert torch.equal(codes, slowly(quantizer, latents, books))
    due = sum(quantizer.entries[book][codes[:, book]].transpose(1, 2) for book in range(books))
    assert torch.allclose(quantizer.decode(codes), due)
    later = quantizer.decode(codes[:, 1:], first=1)
    assert torch.allclose(later + quantizer.entries[0][codes[:, 0]].transpose(1, 2), due, atol=1e-6)


def test_the_first_codebook_learns_its_own_dimensions_and_the_others_theirs() -> None:
    torch.manual_seed(0)
    latents = torch.randn(4, 6, 60)
    quantizer = ResidualQuantizer(3, 8, 6).train()
    quantizer.own = 2
    quantizer.begin(latents, 100.0)
    wanting = latents.clone().requires_grad_()
    for _ in range(3):
        learnt = quantizer(wanting)
    assert quantizer.entries[0, :, 4:].abs().amax() > 0
    assert quantizer.entries[1:, :, :4].abs().amax() > 0
    assert not quantizer.entries[0, :, :4].any()
    assert not quantizer.entries[1:, :, 4:].any()
    learnt.levels[0].sum().backward()
    assert wanting.grad is not None
    assert not wanting.grad[:, :4].any()
    assert wanting.grad[:, 4:].all()
    # whoever codes need not know of it
    plain = ResidualQuantizer(3, 8, 6).eval()
    plain.load_state_dict(quantizer.state_dict())
    quantizer.eval()
    assert torch.equal(plain.encode(latents), quantizer(latents).codes)
    torch.testing.assert_close(plain.decode(plain.encode(latents)), quantizer(latents).latents)


def test_codebooks_start_on_a_first_batch_that_is_their_own() -> None:
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(2, 4, 5).train()
    quantizer.own = 1
    quantizer(torch.randn(2, 5, 40))
    assert quantizer.entries[0, :, 4].all()
    assert not quantizer.entries[0, :, :4].any()
    assert not quantizer.entries[1, :, 4].any()


def test_new_entries_are_seen_at_once() -> None:
    quantizer, latents = filled(), torch.randn(1, 5, 30)
    before = quantizer.encode(latents)
    quantizer.load_state_dict(filled(size=16).state_dict())
    quantizer.entries.mul_(3)
    assert torch.equal(quantizer.encode(latents), slowly(quantizer, latents, 4))
    assert not torch.equal(quantizer.encode(latents), before)


def test_in_evaluation_forward_is_encode_and_decode_and_nothing_moves() -> None:
    quantizer, latents = filled(), torch.randn(2, 5, 30)
    state = {name: tensor.clone() for name, tensor in quantizer.state_dict().items()}
    found = quantizer(latents, 3)
    assert torch.equal(found.codes, quantizer.encode(latents, 3))
    assert torch.allclose(found.latents, quantizer.decode(found.codes), atol=1e-6)
    assert torch.allclose(found.levels.sum(dim=0), found.latents)
    for name, tensor in quantizer.state_dict().items():
        assert torch.equal(tensor, state[name])


def test_the_gradient_goes_straight_through_and_commitment_pulls() -> None:
    quantizer = filled()
    latents = torch.randn(2, 5, 30, requires_grad=True)
    weight = torch.randn(2, 5, 30)
    found = quantizer(latents)
    (found.latents * weight).sum().backward()
    assert torch.allclose(latents.grad, weight, atol=1e-5)
    latents.grad = None
    found = quantizer(latents, 1)
    found.commitment.backward()
    pull = 2 * (latents.detach() - found.latents.detach()) / latents.numel()
    assert torch.allclose(latents.grad, pull, atol=1e-6)


def clusters(frames: int, seed: int) -> tuple[Tensor, Tensor]:
    """Latents [1, 3, t] about eight corners, and the corners [8, 3]."""
    draw = torch.Generator().manual_seed(seed)
    corners = torch.tensor([[x, y, z] for x in (-4.0, 4) for y in (-4.0, 4) for z in (-4.0, 4)])
    chosen = torch.randint(8, (frames,), generator=draw)
    return (corners[chosen] + 0.2 * torch.randn(frames, 3, generator=draw)).T[None], corners


def test_codebooks_start_from_the_first_batch_and_find_the_clusters() -> None:
    torch.manual_seed(1)
    quantizer = ResidualQuantizer(2, 24, 3).train()
    for seed in range(60):
        latents, corners = clusters(400, seed)
        found = quantizer(latents)
    assert quantizer.ready.tolist() == [1, 1]
    nearest = torch.cdist(corners, quantizer.entries[0]).min(dim=1).values
    assert float(nearest.max()) < 0.5
    assert len(found.codes[0, 0].unique()) > 20
    assert float((found.latents - latents).square().mean()) < 0.05
    size = quantizer.state_dict()
    assert torch.allclose(size["counts"][0].sum(), torch.tensor(400.0), rtol=0.05)


def test_entries_follow_frames_that_move() -> None:
    quantizer = ResidualQuantizer(1, 1, 3, Learning(decay=0.5, least_used=0)).train()
    quantizer(torch.zeros(1, 3, 10))
    for _ in range(20):
        quantizer(torch.ones(1, 3, 10))
    assert torch.allclose(quantizer.entries[0], torch.ones(1, 3), atol=1e-3)


def test_what_nobody_uses_is_drawn_anew() -> None:
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(1, 8, 3).train()
    latents, _ = clusters(400, 0)
    quantizer(latents)
    quantizer.entries[0, :4] = 100.0
    quantizer.counts[0, :4] = 0.0
    quantizer(latents)
    assert float(quantizer.entries.abs().max()) < 10
    kept = ResidualQuantizer(1, 8, 3, Learning(least_used=0)).train()
    kept.load_state_dict(quantizer.state_dict())
    kept.sums[0, 0], kept.counts[0, 0], kept.entries[0, 0] = 200.0, 2.0, 100.0
    kept(latents)
    assert float(kept.entries.abs().max()) > 90


def test_dropout_draws_every_number_of_codebooks() -> None:
    torch.manual_seed(0)
    quantizer = filled()
    drawn = {quantizer.draw_books(2) for _ in range(100)}
    assert drawn == {2, 3, 4}
    assert quantizer(torch.randn(1, 5, 4), 2).codes.shape[1] == 2


def test_k_means_of_fewer_frames_than_entries_is_finite() -> None:
    centres, counts = start(torch.randn(3, 2), 8, 10)
    assert centres.isfinite().all()
    assert int(counts.sum()) == 3


def worker(rank: int, port: int, folder: str) -> None:
    processes.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    torch.manual_seed(rank)
    quantizer = ResidualQuantizer(2, 8, 3).train()
    for step in range(5):
        latents, _ = clusters(100 + 7 * rank, 10 * step + rank)
        if step == 3:
            quantizer.counts[0, 0] = 0.0
        quantizer(latents)
    torch.save(quantizer.state_dict(), f"{folder}/{rank}.pt")
    processes.destroy_process_group()


@pytest.mark.slow
def test_processes_that_train_together_keep_one_codebook(tmp_path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    multiprocessing.spawn(worker, (port, str(tmp_path)), nprocs=2)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
    # each step counts the frames of both
    assert float(first["counts"][1].sum()) > 150


@settings(max_examples=50, deadline=None)
@given(levels=st.lists(st.integers(2, 9), min_size=1, max_size=4))
def test_every_finite_scalar_code_comes_back(levels: list[int]) -> None:
    quantizer = FiniteScalarQuantizer(levels)
    codes = torch.arange(quantizer.size)[None]
    values = quantizer.decode(codes)
    assert values.shape == (1, len(levels), quantizer.size)
    assert len(values[0].T.unique(dim=0)) == quantizer.size
    assert float(values.abs().max()) <= 1
    # the values lie where rounding puts them: undo the bound and code them again
    half, counts = quantizer.counts // 2, quantizer.counts
    reach, offset = (counts - 1) * (1 + 1e-3) / 2, (counts % 2 == 0) * 0.5
    level = values[0].T * half
    inside = ((level + offset) / reach).clamp(-0.99999, 0.99999).atanh() - (offset / reach).atanh()
    assert torch.equal(quantizer.encode(inside.T[None]), codes)


def test_any_latents_lie_in_the_levels_and_pass_gradients() -> None:
    quantizer = FiniteScalarQuantizer((8, 5, 2))
    latents = (torch.randn(2, 3, 500) * 20).requires_grad_()
    values, codes = quantizer(latents)
    assert 0 <= int(codes.min()) <= int(codes.max()) < 80
    assert torch.allclose(quantizer.decode(codes), values, atol=1e-6)
    for index, count in enumerate((8, 5, 2)):
        assert len((values[:, index].detach() * 100).round().unique()) == count
    values.sum().backward()
    assert latents.grad is not None
    assert latents.grad.abs().sum() > 0
    with pytest.raises(ValueError, match="at least 2"):
        FiniteScalarQuantizer((1, 4))
