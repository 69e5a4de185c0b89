"""How tokens are chosen, and where an answer ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from slmkit.api import CodeSpec, SlmkitError, Speech, Text
from slmkit.generation.loop import complete, steps, stream
from slmkit.generation.picker import Picker
from slmkit.generation.sampling import Choice, Sampling, choose, generators, narrow
from slmkit.host import build
from slmkit.lm.speechlm import SpeechLM
from slmkit.testing.strategies import small_model

SPEC = CodeSpec(24000, 320, (7, 8, 9))
PROMPT = [Text("abc")]
ALOUD = [Text("abc"), Speech(np.zeros((3, 0), np.int64), ends=False)]


def model(strategy: str = "flat") -> SpeechLM:
    return small_model(build("decoding", strategy), SPEC)


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -0.1},
        {"temperature": 0, "top_k": 3},
        {"temperature": 0, "top_p": 0.9},
        {"temperature": 0, "min_p": 0.1},
        {"temperature": 0, "window": 10},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"min_p": 1.5},
        {"repeats": -0.1},
        {"most": 0},
        {"most": 5, "least": 6},
        {"guidance": -1.0},
    ],
)
def test_settings_that_contradict_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(SlmkitError, match="sampling: "):
        Sampling(**settings)  # type: ignore[arg-type]


def test_min_p_keeps_what_is_near_the_best() -> None:
    scores = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    assert torch.isfinite(narrow(scores, Choice(min_p=0.25))).tolist() == [
        [True, True, True, False]
    ]
    assert torch.isfinite(narrow(scores, Choice(min_p=1.0))).tolist() == [[True] + [False] * 3]


def test_what_repeats_too_often_is_drawn_anew() -> None:
    scores = torch.tensor([[4.0, 1.0, 1.0, 1.0]])
    aware, draws = Choice(top_k=2, window=10, repeats=0.5), generators(Sampling(), [0])
    fresh = [int(choose(scores, aware, draws, [[1, 2, 3]])) for _ in range(300)]
    stuck = [int(choose(scores, aware, draws, [[0] * 10])) for _ in range(300)]
    # top-k leaves ties in: the others come only when the best one is drawn anew from all
    assert stuck.count(0) < fresh.count(0)
    longer = [int(choose(scores, aware, draws, [[0] * 10 + [1] * 10])) for _ in range(300)]
    assert longer.count(0) > stuck.count(0), "only the window counts"


def test_speech_is_chosen_by_its_own_settings() -> None:
    lm = model()
    hot = Sampling(temperature=30.0, speech=Choice(temperature=0), most=60, seed=3)
    cold = Sampling(temperature=0, most=60)
    (one,), (two,) = complete(lm, [ALOUD], hot), complete(lm, [ALOUD], cold)
    assert isinstance(one[0], Speech)
    assert isinstance(two[0], Speech)
    assert np.array_equal(one[0].codes, two[0].codes)
    texts = [complete(lm, [PROMPT], Sampling(temperature=30.0, most=9, seed=s)) for s in (1, 2)]
    assert str(texts[0]) != str(texts[1])


@pytest.mark.parametrize("strategy", ["flat", "delay", "depth"])
def test_guidance_moves_away_from_what_would_be_said_anyway(strategy: str) -> None:
    lm = model(strategy)
    other = [[Text("gh")]]
    plain = complete(lm, [PROMPT], Sampling(temperature=0, most=20))
    guided = complete(lm, [PROMPT], Sampling(temperature=0, most=20, guidance=3.0), without=other)
    assert str(plain) != str(guided)
    same = complete(lm, [PROMPT], Sampling(temperature=0, most=20, guidance=3.0), without=[PROMPT])
    assert str(same) == str(plain), "against itself nothing moves"
    only = complete(lm, [PROMPT], Sampling(temperature=0, most=20, guidance=0.0), without=other)
    # with guidance 0 the scores are those without the condition, in the end
    assert str(only) == str(complete(lm, other, Sampling(temperature=0, most=20)))


@pytest.mark.parametrize(("guidance", "without"), [(2.0, None), (1.0, [PROMPT])])
def test_guidance_needs_both(guidance: float, without: list[list[Text]] | None) -> None:
    with pytest.raises(SlmkitError, match="go together"):
        complete(model(), [PROMPT], Sampling(guidance=guidance), without=without)


def test_an_answer_ends_where_the_caller_wishes() -> None:
    lm, seen = model(), []

    def four(row: int, pieces: object) -> bool:
        seen.append((row, pieces))
        return row == 7 and len([each for each in seen if each[0] == 7]) == 4

    wishes = Sampling(temperature=0, most=9, least=9, until=four)
    made = list(steps(lm, [lm.lay(PROMPT), lm.lay([Text("gag")])], wishes, rows=[7, 8]))
    assert [step.going.tolist() for step in made] == [[True, True]] * 4 + [[False, True]] * 5
    alone = list(steps(lm, [lm.lay([Text("gag")])], Sampling(temperature=0, most=9, least=9)))
    assert [step.tokens[1].tolist() for step in made] == [step.tokens[0].tolist() for step in alone]


def test_a_stream_that_is_closed_computes_no_more() -> None:
    lm = model()
    made = 0
    fine = lm.step

    def counted(*given: object) -> object:
        nonlocal made
        made += 1
        return fine(*given)  # type: ignore[arg-type]

    lm.step = counted  # type: ignore[method-assign, assignment]
    pieces = stream(lm, ALOUD, Sampling(temperature=0, most=60))
    next(pieces)
    before = made
    pieces.close()  # type: ignore[attr-defined]
    assert made == before <= 4


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(SlmkitError, match="nothing to go on from"):
        list(steps(model(), [model().lay([Text("")])], Sampling(most=3)))


def test_answers_end_where_the_backbone_does() -> None:
    lm = model()
    lm.backbone.longest = 10
    made = list(steps(lm, [lm.lay(PROMPT)], Sampling(temperature=0, most=60, least=60)))
    assert len(made) == 10 - 3
    lm.backbone.longest = 3
    with pytest.raises(SlmkitError, match="a prompt of 3 steps leaves no room"):
        list(steps(lm, [lm.lay(PROMPT)], Sampling(most=5)))


def test_only_a_window_of_what_was_said_is_remembered() -> None:
    lm = model()
    aware = Sampling(9.0, window=3, repeats=0.0, top_k=2, most=12, least=12, seed=1)
    pick = Picker(lm, aware, [0, 1])
    assert Picker(lm, Sampling(), [0]).window == 0
    for step in range(5):
        pick._remember(0, [step, -1])
    assert pick.said[0] == [[2, 3, 4], []]
    plain = Sampling(9.0, top_k=2, most=12, least=12, seed=1)
    assert str(complete(lm, [PROMPT], aware)) != str(complete(lm, [PROMPT], plain))
