"""Layouts, heads, strategies and the loop that generates from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from slmkit_decoding.delay import Delay as DelayLayout

from slmkit.api import Aligned, CodeSpec, MisfitError, OptionsError, Speech, Text, WeightsError
from slmkit.generation.sampling import Sampling
from slmkit.host import build
from slmkit.lm import layouts
from slmkit.lm.layouts import NOTHING
from slmkit.lm.vocabulary import Vocabulary
from slmkit.testing import check_decoding
from slmkit.testing.strategies import random_segments, small_model


@st.composite
def codes(draw: st.DrawFn) -> np.ndarray:
    k, t = draw(st.integers(1, 6)), draw(st.integers(0, 9))
    return np.arange(k * t).reshape(k, t) + draw(st.integers(0, 50))


@given(codes())
def test_arrays_are_read_back(one: np.ndarray) -> None:
    k = len(one)
    assert np.array_equal(layouts.unflatten(layouts.flatten(one), k), one)
    assert np.array_equal(layouts.uncoarse(layouts.coarse_first(one), k), one)


@given(codes(), st.data())
def test_any_delays_are_read_back(one: np.ndarray, data: st.DataObject) -> None:
    delays = [0, *(data.draw(st.integers(0, 4)) for _ in one[1:])]
    laid = layouts.delayed(one, delays)
    assert np.array_equal(layouts.undelayed(laid, delays), one)
    assert (laid != NOTHING).sum() == one.size


def test_published_patterns() -> None:
    one = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    assert layouts.delayed(one, [0, 1, 2]).tolist() == [
        [1, 2, 3, -1, -1], [-1, 4, 5, 6, -1], [-1, -1, 7, 8, 9]
    ]  # fmt: skip
    assert layouts.delayed(one, [0, 1, 1]).tolist() == [
        [1, 2, 3, -1], [-1, 4, 5, 6], [-1, 7, 8, 9]
    ]  # fmt: skip
    assert layouts.flatten(one).tolist() == [[1, 4, 7, 2, 5, 8, 3, 6, 9]]
    assert layouts.coarse_first(one).tolist() == [[1, 2, 3, 4, 5, 6, 7, 8, 9]]


@pytest.mark.parametrize("delays", [[0, 1], [1, 0, 0], [0, -1, 2]])
def test_delays_that_do_not_serve_are_refused(delays: list[int]) -> None:
    with pytest.raises(MisfitError, match="delays"):
        build("decoding", "delay", {"delays": delays}).plan(CodeSpec(24000, 320, (7, 8, 9)))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("delay", {"delays": [0, 2, 1]}),
        ("delay", {"delays": [0, 5, 9]}),
        ("depth", {"delays": [0, 0, 0], "width": 16, "heads": 2}),
        ("depth", {"shared": False, "width": 16, "heads": 2, "layers": 1}),
        ("monologue", {"ahead": 3, "width": 16, "heads": 2}),
        ("monologue", {"ahead": 1, "delays": [0, 4, 0], "head": "linear"}),
        ("ar-nar", {"width": 16, "heads": 2, "layers": 1}),
        ("ar-nar", {"width": 16, "heads": 2, "layers": 1, "start": False}),
        ("soundstorm", {"width": 16, "heads": 2, "layers": 1, "steps": 3}),
    ],
)
def test_options_keep_the_laws(name: str, values: dict[str, object]) -> None:
    check_decoding(build("decoding", name, values))


def test_a_step_of_delay_and_text_on_the_grid() -> None:
    lm = small_model(build("decoding", "delay"), CodeSpec(24000, 320, (7, 8)))
    v = lm.vocabulary
    one = np.array([[1, 2], [3, 4]])
    grid = lm.layout.lay([Text("ab"), Speech(one, learn=True)], v)
    start, end = v.id_of("<sosp>"), v.id_of("<eosp>")
    first, second = v.code_range(0).start, v.code_range(1).start
    assert grid.tokens.tolist() == [
        [0, 1, start, first + 1, first + 2, end],
        [NOTHING, NOTHING, NOTHING, NOTHING, second + 3, second + 4],
    ]
    assert grid.learn.tolist() == [[False] * 2 + [True] * 4, [False] * 4 + [True] * 2]
    assert grid.spans == ((0, 2), (2, 6))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_frames_come_as_soon_as_the_layout_has_completed_them(seed: int) -> None:
    delays = [0, 1, 2]
    lm = small_model(build("decoding", "delay", {"delays": delays}), CodeSpec(24000, 320, (9,) * 3))
    draw = np.random.default_rng(seed)
    one = draw.integers(0, 9, (3, draw.integers(1, 8)))
    grid, state = lm.layout.lay([Speech(one)], lm.vocabulary), lm.layout.open(lm.vocabulary)
    for step, tokens in enumerate(grid.tokens.T.tolist()):
        pieces, state = lm.layout.step(tokens, state, lm.vocabulary)
        frames = [p.codes for p in pieces if isinstance(p, Speech) and p.codes.size]
        # the first step is <sosp>, and a frame waits for the longest delay
        due = step - 1 - max(delays)
        wanted = [one[:, due : due + 1].tolist()] if due >= 0 else []
        assert [f.tolist() for f in frames] == wanted


def test_growing_a_vocabulary_keeps_what_was_learnt() -> None:
    from slmkit.lm.vocabulary import Section

    lm = small_model(build("decoding", "depth", {"width": 16}), CodeSpec(24000, 320, (7, 8, 9)))
    grid = lm.layout.lay([Text("abc"), Speech(np.zeros((3, 5), np.int64))], lm.vocabulary)
    tokens = torch.from_numpy(grid.tokens)[None]
    with torch.no_grad():
        before = lm.head.logits(lm.backbone(lm.embed(tokens)), lm.local(tokens))
        lm.extend(Section.special("<more>"))
        after = lm.head.logits(lm.backbone(lm.embed(tokens)), lm.local(tokens))
    for one, two in zip(before, after, strict=True):
        assert torch.allclose(one, two[..., : one.shape[-1]], atol=1e-6)
    assert after[0].shape[-1] == before[0].shape[-1] + 1
    assert [each.shape[-1] for each in after[1:]] == [8, 9]


def test_words_run_ahead_of_their_sound() -> None:
    options = {"ahead": 1, "delays": [0, 1]}
    lm = small_model(build("decoding", "monologue", options), CodeSpec(24000, 320, (7, 8)))
    v = lm.vocabulary
    one = Aligned(np.array([2, -1]), np.array([[1, 2], [3, 4]]))
    grid = lm.lay([Text("a"), one])
    start, end, pad = v.id_of("<sosp>"), v.id_of("<eosp>"), v.id_of("<pad>")
    first, second = v.code_range(0).start, v.code_range(1).start
    assert grid.tokens.tolist() == [
        [0, start, 2, pad, pad, end],
        [NOTHING, NOTHING, NOTHING, first + 1, first + 2, NOTHING],
        [NOTHING, NOTHING, NOTHING, NOTHING, second + 3, second + 4],
    ]


def test_text_beside_speech_needs_a_stream() -> None:
    lm = small_model(build("decoding", "delay"), CodeSpec(24000, 320, (7, 8)))
    with pytest.raises(MisfitError, match="no stream for text beside speech"):
        lm.lay([Aligned(np.array([2, -1]), np.array([[1, 2], [3, 4]]))])


def test_only_the_last_speech_can_go_on() -> None:
    lm = small_model(build("decoding", "flat"), CodeSpec(16000, 320, (7,)))
    with pytest.raises(MisfitError, match="only the last segment"):
        lm.lay([Speech(np.array([[1]]), ends=False), Text("a")])


class ForgetsTheEnd(DelayLayout):
    def body(self, ids: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
        return super().body(ids[:, :-1], vocabulary)


class WaitsTooLittle(DelayLayout):
    def take(self, tokens, state, vocabulary):  # type: ignore[no-untyped-def]
        pieces, after = super().take(tokens, state, vocabulary)
        return pieces, None if pieces else after


class AllowsAnything(DelayLayout):
    def allowed(self, state, picked, vocabulary):  # type: ignore[no-untyped-def]
        return (range(vocabulary.size),)


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (ForgetsTheEnd, "laid out and read back"),
        (WaitsTooLittle, "laid out and read back"),
        (AllowsAnything, "is allowed"),
    ],
)
def test_a_layout_that_breaks_a_law_is_found(
    broken: type[DelayLayout], law: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slmkit_decoding.delay

    monkeypatch.setattr(slmkit_decoding.delay, "Delay", broken)
    with pytest.raises(AssertionError, match=law):
        check_decoding(build("decoding", "delay"))


def test_a_head_that_looks_ahead_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from slmkit_decoding.depth import Depth

    def looks_ahead(self: Depth, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return fine(self, hidden, tokens.flip(1))

    fine = Depth._run
    monkeypatch.setattr(Depth, "_run", looks_ahead)
    with pytest.raises(AssertionError, match="changes scores before it"):
        check_decoding(build("decoding", "depth"))


def test_impossible_tokens_are_never_chosen() -> None:
    from slmkit.generation.loop import complete

    lm = small_model(build("decoding", "flat"), CodeSpec(16000, 320, (7, 8)))
    hot = Sampling(temperature=50.0, most=80, stop=("<eoa>",))
    for answer in complete(lm, [[Text("a")]] * 4, hot):
        again = lm.layout.lay(answer, lm.vocabulary)
        assert [type(s) for s in lm.layout.read(again, lm.vocabulary)] == [type(s) for s in answer]


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(OptionsError, match="divide"):
        build("decoding", "depth", {"width": 30, "heads": 4})


def test_a_checkpoint_of_another_strategy_is_refused(tmp_path: Path) -> None:
    spec = CodeSpec(24000, 320, (7, 8))
    small_model(build("decoding", "parallel"), spec).save(tmp_path)
    with pytest.raises(WeightsError, match="another decoding strategy"):
        small_model(build("decoding", "depth", {"width": 16}), spec).restore(tmp_path)
    again = small_model(build("decoding", "parallel"), spec, seed=1)
    again.restore(tmp_path)
    assert torch.equal(again.head.rows(0), small_model(again.decoding, spec).head.rows(0))


def test_random_segments_have_some_of_everything() -> None:
    import random

    spec, draw = CodeSpec(24000, 320, (7, 8)), random.Random(0)
    made = [each for _ in range(40) for each in random_segments(spec, draw)]
    assert any(isinstance(s, Text) and s.learn for s in made)
    assert any(isinstance(s, Speech) and not s.codes.size for s in made)
