"""Weights that generation has moved together stay what they were for everything else."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from slmkit.api import CodeSpec, Speech, Text
from slmkit.codecs.joined import end_to_end, joined
from slmkit.generation.loop import steps
from slmkit.generation.sampling import Sampling
from slmkit.host import build
from slmkit.lm.grid import GridBatch
from slmkit.lm.speechlm import SpeechLM


def model(strategy: str = "delay") -> SpeechLM:
    torch.manual_seed(0)
    text = build("text", "characters", {"alphabet": "abcdefgh "})
    backbone = build("backbone", "llama", {"width": 32, "layers": 2, "heads": 2})
    spec = CodeSpec(16000, 320, (7, 8, 9))
    return SpeechLM.new(backbone, build("decoding", strategy), text, spec, "<eoa>").eval()


def answer(lm: SpeechLM) -> list[list[int]]:
    made = steps(lm, [lm.lay([Text("abc")])], Sampling(temperature=0, most=30))
    return [step.tokens[0].tolist() for step in made]


def loss(lm: SpeechLM) -> torch.Tensor:
    codes = torch.arange(12).view(3, 4).numpy() % 7
    batch = GridBatch.of([lm.lay([Text("abc", learn=True), Speech(codes, learn=True)])])
    return lm.loss(batch)


@pytest.mark.parametrize("biased", [False, True])
def test_joined_layers_are_the_layers_side_by_side(biased: bool) -> None:
    layers = [nn.Linear(5, width, bias=biased) for width in (3, 1, 4)]
    x = torch.randn(2, 7, 5)
    expected = torch.cat([layer(x) for layer in layers], dim=-1)
    weights = [layer.weight for layer in layers]
    whole = joined(layers)
    torch.testing.assert_close(whole(x), expected)
    assert all(layer.weight is weight for layer, weight in zip(layers, weights, strict=True))
    with torch.no_grad():
        layers[1].weight.zero_()
    assert (whole(x) - expected)[..., 3].abs().sum() > 0, "what is trained further is seen"
    assert joined(layers).keywords["weight"].data_ptr() == weights[0].data_ptr(), "no second copy"


def test_layers_that_are_more_than_plain_are_called() -> None:
    class Doubled(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(x)

    layers = [Doubled(4, 2), nn.Linear(4, 3)]
    x = torch.randn(3, 4)
    torch.testing.assert_close(joined(layers)(x)[:, :2], layers[0](x))


def test_neighbours_of_different_storages_are_not_taken_for_one() -> None:
    whole = torch.arange(12.0).view(6, 2)
    parts = [nn.Parameter(whole[:2]), nn.Parameter(whole[2:3]), nn.Parameter(whole[3:5])]
    assert end_to_end(parts).data_ptr() == whole.data_ptr()
    apart = [nn.Parameter(whole[:2].clone()), nn.Parameter(whole[2:].clone())]
    made = end_to_end(apart)
    assert torch.equal(made, whole)
    assert made.untyped_storage().nbytes() == whole.nbytes
    turned = [apart[1], apart[0]]
    assert torch.equal(end_to_end(turned), torch.cat([whole[2:], whole[:2]]))


@pytest.mark.parametrize("strategy", ["flat", "delay", "depth"])
def test_training_goes_on_after_an_answer(strategy: str, tmp_path: Path) -> None:
    one, other = model(strategy), model(strategy)
    first = answer(one)
    for lm in (one, other):
        optimizer = torch.optim.AdamW(lm.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            loss(lm).backward()
            optimizer.step()
    torch.testing.assert_close(loss(one), loss(other))
    second = answer(one)
    assert second == answer(other) != first, "the next answer is by the new weights"
    one.save(tmp_path)
    restored = model(strategy)
    restored.restore(tmp_path)
    assert answer(restored) == second
    size = (tmp_path / "model.safetensors").stat().st_size
    other.save(tmp_path / "other")
    assert size == (tmp_path / "other" / "model.safetensors").stat().st_size


def test_a_copy_answers_by_its_own_weights() -> None:
    lm = model()
    before = answer(lm)
    twin = copy.deepcopy(lm)
    with torch.no_grad():
        for parameter in lm.parameters():
            parameter.normal_()
    assert answer(lm) != before == answer(twin)


def test_a_model_in_bfloat16_answers() -> None:
    lm = model("depth").to(torch.bfloat16)
    assert len(answer(lm)) == 30
