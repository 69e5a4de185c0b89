"""Speech that fails is found, ended, and tried again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from slmkit.api import Aligned, CodeSpec, Speech, Text
from slmkit.generation.attempts import APART, Attempt, Watch, attempts, codes_of, failure_of
from slmkit.generation.sampling import Sampling
from slmkit.host import build
from slmkit.lm.speechlm import SpeechLM

SPEC = CodeSpec(16000, 320, (40, 40))


def model(seed: int = 0) -> SpeechLM:
    torch.manual_seed(seed)
    text = build("text", "characters", {"alphabet": "abc"})
    backbone = build("backbone", "llama", {"width": 16, "layers": 1, "heads": 2})
    return SpeechLM.new(backbone, build("decoding", "delay"), text, SPEC, "<eoa>").eval()


def nowhere(done: int, total: int | None = None, text: str = "") -> None:
    """No progress is shown."""


def watch(limit: int = 10_000) -> Watch:
    return Watch({0: limit}, model())


def frames(*units: int) -> list[Speech]:
    return [Speech(np.array([units, units], dtype=np.int64))]


@pytest.mark.parametrize(("period", "found"), [(1, True), (7, True), (25, True), (26, False)])
def test_two_seconds_of_the_same_are_a_repetition(period: int, found: bool) -> None:
    watching = watch()
    pattern = [unit % 40 for unit in range(period)]
    said = (pattern * 100)[:100]
    assert not watching(0, frames(39, *said[:-1]))
    assert watching(0, frames(said[-1])) == found


def test_a_pause_is_no_repetition() -> None:
    watching = watch()
    assert not watching(0, frames(*range(40), *[5] * 99, 6))
    assert not watching(0, frames(*[5] * 50))


def test_what_is_longer_than_its_limit_ends() -> None:
    watching = watch(limit=3)
    assert not watching(0, frames(1, 2, 3))
    assert not watching(0, [Text("a")])
    assert watching(0, frames(4))


def test_failures_are_told_apart() -> None:
    codes = np.zeros((2, 5), dtype=np.int64)
    ended = [Speech(codes), Text("<eoa>")]
    assert failure_of(ended, codes, False, ("<eoa>",)) is None
    assert failure_of(ended, codes, True, ("<eoa>",)) == "repeated"
    assert failure_of([Speech(codes)], codes, False, ("<eoa>",)) == "endless"
    assert failure_of([Text("<eoa>")], codes[:, :0], False, ("<eoa>",)) == "empty"


def test_what_is_said_is_all_speech_of_an_answer() -> None:
    one, two = np.array([[1, 2], [3, 4]]), np.array([[5], [6]])
    answer = [Text("a"), Speech(one), Text("b"), Aligned(np.array([0]), two)]
    assert codes_of(answer, 2).tolist() == [[1, 2, 5], [3, 4, 6]]
    assert codes_of([Text("a")], 2).shape == (2, 0)


def say(lm: SpeechLM, prompts: list[Any], retries: int, **sampling: Any) -> list[Attempt]:
    settings = Sampling(most=40, stop=("<eoa>",), **sampling)
    return attempts(lm, prompts, settings, [12] * len(prompts), 2, retries, nowhere)


def test_what_fails_is_drawn_anew_whatever_else_is_asked() -> None:
    lm, prompts = model(), [[Text(text)] for text in ("a", "b", "cab", "bab")]
    once, often = say(lm, prompts, 0), say(lm, prompts, 6)
    failed = [row for row, each in enumerate(once) if each.failure]
    assert failed, "an untrained model fails"
    for row, (first, last) in enumerate(zip(once, often, strict=True)):
        assert first.tries == 1
        assert (last.tries > 1) == (row in failed)
        assert last.tries == 7 or last.failure is None
        if row not in failed:
            assert np.array_equal(first.codes, last.codes)
    assert sum(bool(each.failure) for each in often) < len(failed)
    alone = say(lm, prompts[:1], 6)[0]
    assert (alone.tries, alone.failure) == (often[0].tries, often[0].failure)
    assert np.array_equal(alone.codes, often[0].codes)
    assert 1000 * len(prompts) < APART


def test_the_best_token_always_is_not_tried_again() -> None:
    assert all(each.tries == 1 for each in say(model(), [[Text("a")]], 5, temperature=0))


def test_a_caller_can_end_what_is_said() -> None:
    asked: list[int] = []

    def until(row: int, pieces: Any) -> bool:
        asked.append(row)
        return len(asked) == 3

    (ended,) = say(model(), [[Text("a")]], 0, temperature=0, until=until)
    (whole,) = say(model(), [[Text("a")]], 0, temperature=0)
    assert len(asked) == 3
    assert ended.codes.shape[1] < whole.codes.shape[1]
    # the watch sees every step, whatever the caller says
    (same,) = say(model(), [[Text("a")]], 0, temperature=0, until=lambda row, pieces: False)
    assert np.array_equal(same.codes, whole.codes)
