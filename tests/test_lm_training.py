"""Training a language model: averages, breaks, activations computed again, compiled, by two."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor
from toy_lm import Place, examples, model

from slmkit.api import MisfitError
from slmkit.lm.grid import GridBatch
from slmkit.lm.speechlm import SpeechLM
from slmkit.training import lm as lm_module
from slmkit.training import trainer as trainer_module
from slmkit.training.lm import LmLearner, fit_lm
from slmkit.training.options import LmTraining

PLAIN = {"precision": "32-true", "accelerator": "cpu"}
FEW = LmTraining(steps=6, lr=3e-3, warmup=2, batch_tokens=60)
LENGTHS = [4 + 3 * (n % 7) for n in range(30)]


def train(folder: Path, callbacks: tuple[Callback, ...] = (), **changes: Any) -> SpeechLM:
    """A tiny model, trained on tiny examples, a fifth of them held out."""
    lm = model(dropout=0.1)
    grids = examples(lm, LENGTHS)
    options = {**vars(FEW), **changes}
    place = Place(folder, trainer={**PLAIN, **({"callbacks": [*callbacks]} if callbacks else {})})
    fit_lm(lm, grids[6:], grids[:6], LmTraining(**options), place)
    lm.said = place.said
    return lm


def weights(lm: SpeechLM) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in lm.named_parameters()}


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


class Follows(Callback):
    """Notes the weights after each step."""

    def __init__(self) -> None:
        self.weights: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer: Any, module: LmLearner, *_: Any) -> None:
        self.weights.append(weights(module.lm))


def test_the_average_is_the_weighted_mean_of_all_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follows = Follows()
    train(tmp_path / "plain", callbacks=(follows,))
    checked: list[dict[str, Tensor]] = []

    def check(learner: LmLearner, batch: GridBatch, index: int) -> None:
        if index == 0:
            checked.append(weights(learner.lm))

    monkeypatch.setattr(LmLearner, "validation_step", check)
    lm = train(tmp_path / "ema", ema=0.8)
    found = [*checked, weights(lm)]
    assert len(checked) == len(follows.weights) == 6
    for count, average in zip([1, 2, 3, 4, 5, 6, 6], found, strict=True):
        shares = torch.tensor([0.8 ** (count - 1 - n) for n in range(count)])
        shares /= shares.sum()
        for name, tensor in average.items():
            kept = torch.stack([each[name] for each in follows.weights[:count]])
            expected = torch.einsum("n,n...->...", shares, kept)
            torch.testing.assert_close(tensor, expected, atol=1e-6, rtol=1e-4)
    assert not torch.equal(lm.backbone.norm.weight, follows.weights[-1]["backbone.norm.weight"])


@pytest.mark.parametrize("changes", [{}, {"ema": 0.9}, {"ema": 0.9, "packing": True}])
def test_a_broken_training_ends_as_an_unbroken_one(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer_module, "CHECKPOINT_EVERY_S", 0.0)
    whole = train(tmp_path / "whole", **changes)
    item = lm_module.Steps.__getitem__

    def breaks(steps: lm_module.Steps, step: int) -> GridBatch:
        if step == 4:
            raise RuntimeError("broken")
        return item(steps, step)

    with monkeypatch.context() as patch:
        patch.setattr(lm_module.Steps, "__getitem__", breaks)
        with pytest.raises(RuntimeError, match="broken"):
            train(tmp_path / "broken", **changes)
    again = train(tmp_path / "broken", **changes)
    assert_equal(weights(again), weights(whole))
    # a stage that was killed after its training finds it done
    assert_equal(weights(train(tmp_path / "broken", **changes)), weights(whole))
    states = [
        torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("whole", "broken")
    ]
    assert_equal(states[0]["state_dict"], states[1]["state_dict"])
    if "ema" in changes:
        kept = [state["callbacks"]["Averaging"]["average"] for state in states]
        assert_equal(*kept)
        assert any(not torch.equal(kept[0][n], states[0]["state_dict"][n]) for n in kept[0])


def test_packed_examples_are_learnt(tmp_path: Path) -> None:
    lm = model()
    held = GridBatch.of(examples(lm, LENGTHS)[:6])
    before = float(lm.eval().loss(held).detach())
    after = train(tmp_path, packing=True, steps=30, schedule="wsd", decay=0.3).eval().loss(held)
    assert float(after.detach()) < before - 0.3


def saved_bytes(lm: SpeechLM, batch: GridBatch) -> tuple[int, Tensor, list[Tensor]]:
    """Bytes kept for the backward pass, weights not counted; the loss; its gradients."""
    own = {p.data_ptr() for p in lm.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in own:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(1)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = lm.loss(batch)
    return sum(kept.values()), loss.detach(), [*torch.autograd.grad(loss, [*lm.parameters()])]


@pytest.mark.parametrize("packing", [False, True])
def test_layers_computed_again_cost_memory_no_more_and_change_nothing(packing: bool) -> None:
    lm = model(layers=6, dropout=0.1).train()
    grids = examples(lm, LENGTHS)
    batch = GridBatch.packed(grids) if packing else GridBatch.of(grids)
    much, loss, gradients = saved_bytes(lm, batch)
    lm.backbone.checkpoint_layers()
    little, again, recomputed = saved_bytes(lm, batch)
    assert little < 0.35 * much, (little, much)
    assert torch.equal(loss, again)
    torch.testing.assert_close(recomputed, gradients)


def test_checkpointing_trains_as_before_and_can_be_refused(tmp_path: Path) -> None:
    plain = train(tmp_path / "plain")
    assert_equal(weights(train(tmp_path / "again", checkpointing=True)), weights(plain))
    lm = model()
    lm.backbone.checkpoint_layers = lambda: super(
        type(lm.backbone), lm.backbone
    ).checkpoint_layers()
    grids = examples(lm, LENGTHS)
    with pytest.raises(MisfitError, match="Llama cannot compute its layers again"):
        fit_lm(lm, grids, [], LmTraining(checkpointing=True), Place(tmp_path))


def test_what_cannot_be_compiled_is_told_and_trained_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile(module: torch.nn.Module) -> None:
        def fail(*_: Any) -> None:
            raise RuntimeError("no compiler\nhere")

        module._compiled_call_impl = fail

    monkeypatch.setattr("slmkit_llama.model.Llama.compile", compile, raising=False)
    plain = train(tmp_path / "plain")
    told = train(tmp_path / "compiled", compile=True)
    assert told.said == ["not compiled: RuntimeError: no compiler"]
    assert_equal(weights(told), weights(plain))


@pytest.mark.slow
@pytest.mark.parametrize("packing", [False, True])
def test_compiled_training_is_the_same_training(packing: bool, tmp_path: Path) -> None:
    trained = []
    for compile in (False, True):
        lm = model(layers=1)
        grids = examples(lm, [9] * 8)
        size = {"steps": 3, "warmup": 1, "batch_tokens": 2 * grids[0].steps}
        place = Place(tmp_path / str(compile), trainer=PLAIN)
        fit_lm(lm, grids, [], LmTraining(**size, compile=compile, packing=packing), place)
        assert place.said == []
        assert lm.backbone._compiled_call_impl is None
        trained.append(weights(lm))
    for name, tensor in trained[0].items():
        torch.testing.assert_close(trained[1][name], tensor, atol=1e-5, rtol=1e-4)


PROGRAM = """
import json, sys
from pathlib import Path
import torch
from lightning.pytorch import Callback
from toy_lm import Place, examples, model
from slmkit.lm.grid import GridBatch
from slmkit.training import lm as training
from slmkit.training.options import LmTraining

folder, devices, packing = Path(sys.argv[1]), int(sys.argv[2]), bool(int(sys.argv[3]))
lm = model()
grids = examples(lm, [9] * 24)
item = training.Steps.__getitem__


def doubled(steps, step):
    pair = [item(steps, 2 * step + n) for n in (0, 1)]
    if packing:
        row = [torch.cat([getattr(b, n) for b in pair], dim=-1) for n in ("tokens", "learn")]
        places = torch.cat([b.positions for b in pair], dim=-1)
        return GridBatch(*row, pair[0].lengths + pair[1].lengths, positions=places)
    rows = [torch.cat([getattr(b, n) for b in pair]) for n in ("tokens", "learn", "lengths")]
    return GridBatch(*rows)


class Notes(Callback):
    losses, checks = [], []

    def on_train_batch_end(self, trainer, module, outputs, *_):
        loss = trainer.strategy.reduce(outputs["loss"], reduce_op="mean")
        self.losses.append(float(loss))

    def on_validation_end(self, trainer, module):
        self.checks.append(float(trainer.callback_metrics["dev_loss"]))


if devices == 1:
    training.Steps.__getitem__ = doubled
notes = Notes()
options = {"precision": "32-true", "accelerator": "cpu", "devices": devices, "callbacks": [notes]}
if devices > 1:
    options["strategy"] = "ddp"
length = grids[0].steps
chosen = LmTraining(
    steps=5, lr=3e-3, warmup=2, batch_tokens=4 * length, packing=packing
)
place = Place(folder, trainer=options)
checks = [grid.cut(length - n) for n, grid in enumerate(grids[16:])] * 5
training.fit_lm(lm, grids[:16], checks[:32], chosen, place)
torch.save(lm.state_dict(), folder / "weights.pt")
(folder / "notes.json").write_text(json.dumps([notes.losses, notes.checks]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("packing", [False, True])
def test_two_processes_train_as_one_with_the_doubled_batch(packing: bool, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    paths = {"PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    found = []
    for devices in (1, 2):
        folder = tmp_path / str(devices)
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, str(program), str(folder), str(devices), str(int(packing))],
            env={**os.environ, **paths},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found.append(json.loads((folder / "notes.json").read_text()))
    one, two = found
    assert len(one[0]) == len(one[1]) == 5
    assert two[0] == pytest.approx(one[0], abs=1e-5)
    assert two[1] == pytest.approx(one[1], abs=1e-5)
    ours, theirs = (torch.load(tmp_path / name / "weights.pt") for name in ("1", "2"))
    for name, tensor in ours.items():
        torch.testing.assert_close(theirs[name], tensor, atol=1e-5, rtol=1e-4)


def test_sharding_without_a_gpu_is_refused_in_a_line(tmp_path: Path) -> None:
    lm = model()
    place = Place(tmp_path, trainer={"strategy": "fsdp", "accelerator": "cpu"})
    with pytest.raises(MisfitError, match="fsdp") as refused:
        fit_lm(lm, examples(lm, LENGTHS), [], FEW, place)
    assert "\n" not in str(refused.value)
