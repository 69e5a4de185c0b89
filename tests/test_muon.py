"""Muon and AdamW as one optimizer."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from slmkit.api import CodeSpec, MisfitError
from slmkit.host import build
from slmkit.lm.speechlm import SpeechLM
from slmkit.testing.strategies import Letters
from slmkit.training.lm import LmLearner
from slmkit.training.muon import BETAS, MuonAdamW
from slmkit.training.options import LmTraining


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 4))


def together(net: nn.Module) -> MuonAdamW:
    matrices = [p for p in net.parameters() if p.dim() == 2]
    others = [p for p in net.parameters() if p.dim() != 2]
    return MuonAdamW(matrices, others, lr=0.02, decay=0.1)


def descend(net: nn.Module, *optimizers: torch.optim.Optimizer, step: int) -> None:
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(step))
    net(x).square().sum().backward()
    for optimizer in optimizers:
        optimizer.step()
        optimizer.zero_grad()


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_it_steps_as_the_two_do() -> None:
    ours = network()
    theirs = copy.deepcopy(ours)
    matrices = [p for p in theirs.parameters() if p.dim() == 2]
    others = [p for p in theirs.parameters() if p.dim() != 2]
    muon = torch.optim.Muon(matrices, 0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW(others, 0.02, betas=BETAS, weight_decay=0.0)
    optimizer = together(ours)
    for step in range(3):
        descend(ours, optimizer, step=step)
        descend(theirs, muon, adamw, step=step)
    assert same(ours, theirs)
    assert not same(ours, network())


def test_it_obeys_a_schedule_and_goes_on_from_its_state() -> None:
    unbroken, broken = network(), network()
    for net, break_at in ((unbroken, None), (broken, 2)):
        optimizer = together(net)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
        for step in range(5):
            if step == break_at:
                states = optimizer.state_dict(), schedule.state_dict()
                optimizer = together(net)
                schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
                optimizer.load_state_dict(copy.deepcopy(states[0]))
                schedule.load_state_dict(copy.deepcopy(states[1]))
            descend(net, optimizer, step=step)
            schedule.step()
        rates = [group["lr"] for one in optimizer.inner for group in one.param_groups]
        assert rates == pytest.approx([0.02 / 6] * 2)
    assert same(unbroken, broken)


def test_what_is_no_matrix_is_refused() -> None:
    conv = nn.Conv1d(3, 4, 5)
    with pytest.raises(MisfitError, match="adamw"):
        MuonAdamW([conv.weight], [conv.bias], lr=0.1, decay=0.0)


@pytest.mark.parametrize("refiner", ["valle-nar", "soundstorm"])
def test_muon_trains_the_matrices_inside_a_refiner_too(refiner: str) -> None:
    name = {"valle-nar": "ar-nar", "soundstorm": "soundstorm"}[refiner]
    sizes = {"width": 16, "heads": 2, "layers": 1}
    lm = SpeechLM.new(
        build("backbone", "llama", {**sizes, "width": 32}),
        build("decoding", name, sizes),
        Letters(),
        CodeSpec(16000, 320, (9, 9, 9)),
        "<eoa>",
    )
    (optimizer,), _ = LmLearner(lm, LmTraining(optimizer="muon")).configure_optimizers()
    muon, adamw = optimizer.inner
    trained = {id(p) for group in muon.param_groups for p in group["params"]}
    rest = {id(p) for group in adamw.param_groups for p in group["params"]}
    inside = [p for p in lm.refiner.layers.parameters() if p.dim() == 2]
    assert inside
    assert {id(p) for p in inside} <= trained
    assert {id(p) for p in lm.refiner.parameters()} - {id(p) for p in inside} <= rest
    assert not trained & rest
