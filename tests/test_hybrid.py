"""How text and speech of an answer stand together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slmkit_hybrid.arrange import ARRANGE
from slmkit_hybrid.evaluate import text_of
from slmkit_stages.vocoder import merged

from slmkit.api import Aligned, CodeSpec, DataError, Interval, OptionsError, Speech, Text, Utterance
from slmkit.data.shards import StoredCodes
from slmkit.data.store import TokenStore
from slmkit.host import build, host, make_options
from slmkit.testing.strategies import LETTERS, Letters, small_model

RATE = 50.0


def answer(words: list[str], lasting: float = 0.1) -> Utterance:
    times = [Interval(w, n * lasting, (n + 1) * lasting) for n, w in enumerate(words)]
    return Utterance(id="a", text=" ".join(words), words=tuple(times), role="answer")


def codes(frames: int) -> np.ndarray:
    return np.arange(frames)[None] % 7


def arranged(name: str, one: Utterance, frames: int) -> list:  # type: ignore[type-arg]
    return ARRANGE[name](one, codes(frames), RATE, Letters().encode)


@pytest.mark.parametrize("name", ARRANGE)
@settings(deadline=None)
@given(st.lists(st.text(LETTERS.strip(), min_size=1, max_size=3), min_size=1, max_size=5),
       st.integers(0, 40))  # fmt: skip
def test_nothing_is_lost(name: str, words: list[str], more: int) -> None:
    one = answer(words)
    frames = sum(len(word) + 1 for word in words) + more
    segments = arranged(name, one, frames)
    assert all(segment.learn for segment in segments)
    said = [s.codes for s in segments if not isinstance(s, Text)]
    assert np.array_equal(np.concatenate(said, axis=1), codes(frames))
    strategy = "monologue" if name in ("monologue", "ahead") else "flat"
    lm = small_model(build("decoding", strategy), CodeSpec(16000, 320, (7,)))
    assert text_of(segments, lm) == one.text
    read = lm.layout.read(lm.lay(segments), lm.vocabulary)
    assert text_of(read, lm) == one.text


def test_words_stand_beside_the_frame_at_which_they_begin() -> None:
    (segment,) = arranged("monologue", answer(["ab", "c"]), 12)
    assert isinstance(segment, Aligned)
    a, b, c, space = (LETTERS.index(x) for x in "abc ")
    assert segment.text_ids.tolist() == [space, a, b, -1, -1, space, c, -1, -1, -1, -1, -1]


def test_ids_that_come_too_late_are_moved_up() -> None:
    (segment,) = arranged("monologue", answer(["ab", "c"]), 6)
    a, b, c, space = (LETTERS.index(x) for x in "abc ")
    assert segment.text_ids.tolist() == [space, a, b, -1, space, c]


def test_all_words_stand_beside_the_first_frames() -> None:
    (segment,) = arranged("ahead", answer(["ab", "c"]), 8)
    a, b, c, space = (LETTERS.index(x) for x in "abc ")
    assert segment.text_ids.tolist() == [space, a, b, space, c, -1, -1, -1]


def test_a_word_is_followed_by_its_own_speech() -> None:
    segments = arranged("interleaved", answer(["ab", "c"]), 12)
    assert [type(s) for s in segments] == [Text, Speech, Text, Speech]
    assert [s.codes.tolist() for s in segments if isinstance(s, Speech)] == [
        codes(12)[:, :5].tolist(), codes(12)[:, 5:].tolist()
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["interleaved", "monologue"])
def test_times_of_words_have_to_be_known(name: str) -> None:
    with pytest.raises(DataError, match="no times of its words"):
        arranged(name, Utterance(id="a", text="ab"), 9)


def test_more_text_than_frames_is_refused() -> None:
    with pytest.raises(DataError, match="text tokens beside 3 frames"):
        arranged("ahead", answer(["abc", "def"]), 3)


def test_an_unknown_arrangement_is_refused() -> None:
    stage = host().find("stage", "train-hybrid")
    with pytest.raises(OptionsError, match="is none of text-first"):
        make_options(stage, {"arrangement": "sideways"})


def test_a_vocoder_learns_from_units_that_are_not_merged(tmp_path: Path) -> None:
    spec = CodeSpec(16000, 320, (7,))
    plain = StoredCodes("a", np.array([[3, 3, 5, 5, 5, 3]]))
    units, durations = merged(plain, TokenStore.create(tmp_path, spec, "none"))
    assert units.tolist() == [3, 5, 3]
    assert durations.tolist() == [2, 3, 1]
    lasting = StoredCodes("a", np.array([[3, 5]]), durations=np.array([4, 1]))
    units, durations = merged(lasting, TokenStore.create(tmp_path, spec, "none"))
    assert (units.tolist(), durations.tolist()) == ([3, 5], [4, 1])
