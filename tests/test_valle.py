"""Backbones that are told of a prefix, valle above all: what it sees, in padded and packed batches,
step by step; and text that keeps step with speech."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from slmkit_llama.model import Llama

from slmkit.api import CodeSpec, MisfitError, OptionsError, Speech, Text
from slmkit.codecs import cache
from slmkit.codecs import prefix as prefixes
from slmkit.generation.loop import complete, steps
from slmkit.generation.sampling import Sampling
from slmkit.host import build
from slmkit.lm.grid import Grid, GridBatch
from slmkit.lm.speechlm import SpeechLM
from slmkit.testing.backbones import backbone_laws
from slmkit.testing.strategies import Letters

SPEC = CodeSpec(16000, 320, (9, 9, 9))
SMALL = {"width": 32, "layers": 2, "heads": 4}


def model(decoding: str = "ar-nar", backbone: str = "valle", **sizes: Any) -> SpeechLM:
    torch.manual_seed(0)
    small = {"width": 16, "heads": 2, "layers": 1} if decoding == "ar-nar" else {}
    parts = build("backbone", backbone, {**SMALL, **sizes}), build("decoding", decoding, small)
    lm = SpeechLM.new(*parts, Letters(), SPEC, "<eoa>").eval()
    with torch.no_grad():
        for weight in [*lm.embedding.parameters(), *lm.head.parameters()]:
            weight.copy_(torch.randn_like(weight) * 0.7)
    return lm


def answers_alone_as_in_a_batch(lm: SpeechLM) -> None:
    asked = [each[:2] for each in examples()]
    sampling = Sampling(most=40, stop=("<eoa>",), seed=5)
    together = complete(lm, asked, sampling)
    for row, prompt in enumerate(asked):
        (alone,) = complete(lm, [prompt], sampling, [row])
        found = [p.codes.tolist() for p in alone if isinstance(p, Speech)]
        assert found == [p.codes.tolist() for p in together[row] if isinstance(p, Speech)]


def example(text: str, frames: int, heard: int, seed: int) -> list[Any]:
    draw = np.random.default_rng(seed)
    voice, said = (draw.integers(0, 9, (3, n)) for n in (heard, frames))
    return [Text(text), Speech(voice), Speech(said, learn=True), Text("<eoa>", learn=True)]


def examples() -> list[list[Any]]:
    shapes = (("abc", 7, 4), ("a", 3, 2), ("hgfedcba", 6, 0), ("bad cab", 12, 5))
    return [example(*shape, seed) for seed, shape in enumerate(shapes)]


@pytest.mark.parametrize("decoding", ["ar-nar", "delay", "flat"])
def test_the_loss_is_the_same_alone_padded_and_packed(decoding: str) -> None:
    lm = model(decoding)
    grids = [lm.lay(each) for each in examples()]
    assert [grid.prefix for grid in grids] == [3, 1, 8, 7]
    counts = torch.tensor([float(grid.learn.sum()) for grid in grids])
    alone = torch.stack([lm.loss(GridBatch.of([grid])) for grid in grids])
    due = (alone * counts).sum() / counts.sum()
    parameters = list(lm.backbone.parameters())
    expected = torch.autograd.grad(due, parameters)
    for batch in (GridBatch.of(grids, multiple=16), GridBatch.packed(grids, multiple=16)):
        found = lm.loss(batch)
        torch.testing.assert_close(found, due, atol=1e-5, rtol=1e-5)
        for ours, theirs in zip(torch.autograd.grad(found, parameters), expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-3)
        # the control: read causally, the same text says something else
        assert abs(float((lm.loss(replace(batch, prefix=None)) - due).detach())) > 1e-4


def test_packed_examples_with_prefixes_do_not_see_each_other() -> None:
    lm = model()
    grids = [lm.lay(each) for each in examples()]
    batch = GridBatch.packed(grids, multiple=16)
    starts = np.cumsum([0, *(grid.steps for grid in grids)])
    embedded = lm.embed(batch.tokens).detach().requires_grad_()
    for example_ in range(len(grids)):
        own = slice(int(starts[example_]), int(starts[example_ + 1]))
        others = torch.ones(batch.tokens.shape[2], dtype=torch.bool)
        others[own] = False
        hidden = lm.backbone(embedded, batch.positions, prefix=batch.prefix)
        aim = torch.linspace(-1, 1, 32) ** 3
        (gradient,) = torch.autograd.grad((hidden[:, own] * aim).sum(), embedded)
        assert not gradient[:, others].any()
        assert gradient[:, own].any(dim=-1).all()


def test_groups_and_one_mask_are_the_same() -> None:
    """Compiled code takes the mask."""
    from slmkit_valle.attention import Packed, Whole

    draw = torch.Generator().manual_seed(0)
    lengths, prefixes = (5, 9, 1, 9, 4), (2, 9, 1, 0, 3)
    positions = torch.cat([torch.arange(n) for n in lengths])[None]
    prefix = torch.cat([torch.arange(n) < p for n, p in zip(lengths, prefixes, strict=True)])[None]
    q, k, v = (torch.randn(1, 2, sum(lengths), 8, generator=draw) for _ in range(3))
    grouped = Packed.of(prefix, positions, torch.float32)(q, k, v)
    masked = Whole.apart(prefix, positions, torch.float32)(q, k, v)
    torch.testing.assert_close(grouped, masked, atol=1e-6, rtol=1e-5)


def test_text_that_is_learnt_is_no_prefix() -> None:
    lm = model()
    codes = np.zeros((3, 2), dtype=np.int64)
    assert lm.lay([Text("ab", learn=True), Speech(codes)]).prefix == 0
    assert lm.lay([Text("ab"), Text("cd"), Text("ef", learn=True)]).prefix == 4
    assert lm.lay([Speech(codes), Text("ab")]).prefix == 0
    assert lm.lay([Text("abcd")]).cut(2).prefix == 2
    assert lm.lay([]).prefix == 0


def test_what_does_not_ask_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lm, seen = model(backbone="llama"), []
    plain = Llama.forward

    def forward(self: Llama, *given: Any, **told: Any) -> torch.Tensor:
        seen.append(told)
        return plain(self, *given, **told)

    monkeypatch.setattr(Llama, "forward", forward)
    lm.loss(GridBatch.packed([lm.lay(each) for each in examples()]))
    assert seen == [{}]


def anew(lm: SpeechLM, grid: Grid, made: list[list[int]]) -> torch.Tensor:
    """Scores [v] of the next token, computed from all before it."""
    tokens = np.concatenate([grid.tokens, np.array(made, dtype=np.int64).reshape(-1, 1).T], axis=1)
    prefix = torch.arange(tokens.shape[1])[None] < grid.prefix
    with torch.no_grad():
        hidden = lm.backbone(lm.embed(torch.from_numpy(tokens)[None]), prefix=prefix)
        scores: torch.Tensor = lm.head.logits(hidden[:, -1:], torch.zeros(1, 1, 1))[0]
    return scores[0, 0]


def test_generation_side_by_side_is_what_is_computed_anew() -> None:
    lm = model()
    prompts = [lm.lay(each[:2]) for each in examples()] + [lm.lay([Text("gag")])]
    made: list[list[list[int]]] = [[] for _ in prompts]
    states = [lm.layout.open(lm.vocabulary) for _ in prompts]
    greedy = Sampling(temperature=0, most=15, stop=("<eoa>",))
    for step in steps(lm, prompts, greedy):
        for row, prompt in enumerate(prompts):
            if not step.going[row]:
                continue
            ranges = lm.layout.allowed(states[row], (), lm.vocabulary)
            mask = lm.alphabets[0].mask(ranges)  # type: ignore[operator]
            best = int(anew(lm, prompt, made[row]).masked_fill(~mask, -torch.inf).argmax())
            token = int(step.tokens[row, 0])
            assert token == best, f"row {row}, step {len(made[row])}"
            made[row].append([token])
            _, states[row] = lm.layout.step([token], states[row], lm.vocabulary)
    assert max(map(len, made)) == 15


def test_a_state_can_be_cloned_and_its_rows_reordered() -> None:
    part = model().backbone
    x = torch.randn(2, 6, 32)
    prefix = torch.tensor([[True] * 3 + [False], [True] * 2 + [False] * 2])
    _, state = part.step(x[:, :4], part.empty_state(2, 8), torch.tensor([4, 2]), prefix=prefix)
    kept, beams = cache.clone(state), cache.select(state, torch.tensor([1, 1, 0]))
    expected, state = part.step(x[:, 4:], state)
    torch.testing.assert_close(part.step(x[:, 4:], kept)[0], expected)
    swapped, beams = part.step(x[[1, 1, 0], 4:], beams)
    torch.testing.assert_close(swapped, expected[[1, 1, 0]], atol=1e-6, rtol=1e-5)
    assert beams["prefix"].tolist() == [2, 2, 3]


def test_a_prefix_that_comes_late_is_refused() -> None:
    part = model().backbone
    x = torch.randn(1, 2, 32)
    _, state = part.step(x, part.empty_state(1, 4))
    with pytest.raises(MisfitError, match="with the first steps of its row"):
        part.step(x, state, prefix=torch.ones(1, 2, dtype=torch.bool))


def test_layers_computed_again_give_the_same_gradients() -> None:
    lm = model()
    batch = GridBatch.packed([lm.lay(each) for each in examples()])
    parameters = list(lm.backbone.parameters())
    lm.train()
    plain = torch.autograd.grad(lm.loss(batch), parameters)
    lm.backbone.checkpoint_layers()
    for one, other in zip(plain, torch.autograd.grad(lm.loss(batch), parameters), strict=True):
        torch.testing.assert_close(one, other)


def test_bfloat16_autocast_stays_near_float32() -> None:
    lm = model()
    batch = GridBatch.of([lm.lay(each) for each in examples()])
    expected = lm.loss(batch)
    with torch.autocast("cpu", torch.bfloat16):
        found = lm.loss(batch)
    found.backward()
    assert float((found - expected).abs()) < 0.05
    assert all(bool(p.grad.isfinite().all()) for p in lm.backbone.parameters())


def test_dropout_acts_in_training_alone() -> None:
    part = build("backbone", "valle", {**SMALL, "dropout": 0.5})
    x = torch.randn(1, 5, 32)
    assert not torch.equal(part(x), part(x))
    part.eval()
    torch.testing.assert_close(part(x), part(x))


@pytest.mark.parametrize("backbone", ["valle", "llama"])
def test_text_that_keeps_step_with_speech_obeys_the_laws(backbone: str, tmp_path: Path) -> None:
    backbone_laws(lambda: _strided(backbone, 3.5), tmp_path)


def _strided(backbone: str, stride: float) -> Any:
    torch.manual_seed(0)
    part = build("backbone", backbone, {**SMALL, "text_stride": stride})
    with torch.no_grad():
        for weight in part.parameters():
            if weight.dim() > 1:
                weight.mul_(15)
    return part


@pytest.mark.parametrize("backbone", ["valle", "llama"])
def test_a_symbol_stands_where_it_is_said(backbone: str) -> None:
    """Two texts of three symbols before the same speech: at a stride of 4 the second symbol stands
    where the fifth step of speech does, and a stride of one row is another matter."""
    prefix = torch.arange(9) < 3
    places = prefixes.places(torch.arange(9)[None], torch.full((1, 9), 3), 4.0)
    assert places.tolist() == [[0, 4, 8, 0, 1, 2, 3, 4, 5]]
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(1, 9, 32, generator=draw)
    with torch.no_grad():
        found = [_strided(backbone, s)(x, prefix=prefix[None]) for s in (4.0, 1.0, 4.0)]
    assert torch.equal(found[0], found[2])
    assert not torch.allclose(found[0], found[1], atol=1e-4)


@pytest.mark.parametrize("decoding", ["ar-nar", "flat"])
def test_a_llama_that_keeps_step_speaks_alone_as_in_a_batch(decoding: str) -> None:
    answers_alone_as_in_a_batch(model(decoding, "llama", text_stride=3.0))


@pytest.mark.parametrize(
    "options",
    [
        {"width": 30},
        {"layers": 0},
        {"heads": 0},
        {"dropout": 1.0},
        {"hidden": 0},
        {"text_stride": 0.0},
    ],
)
def test_odd_sizes_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OptionsError):
        build("backbone", "valle", {**SMALL, **options})


def test_answers_do_not_depend_on_what_else_is_asked() -> None:
    answers_alone_as_in_a_batch(model())
