"""Text to speech: what is learnt, what is asked, and what is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from slmkit_tts.examples import STOP, spoken

from slmkit.api import CodeSpec, DataError, Speech, Text, Utterance
from slmkit.data.shards import StoredCodes
from slmkit.data.store import TokenStore

SPEC = CodeSpec(16000, 320, (7, 8))


def utterance(number: int, speaker: str, split: str = "train", role: str = "answer") -> Utterance:
    return Utterance(
        id=f"u{number}", audio=Path(f"u{number}.flac"), text=f"text {number}", speaker=speaker,
        split=split, role=role, duration=1.0,
    )  # fmt: skip


UTTERANCES = [utterance(n, "one" if n % 3 else "two") for n in range(9)] + [
    utterance(9, "alone"), utterance(10, "one", "test"), utterance(11, "one", role="question")
]  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    made = TokenStore.create(tmp_path / "codes", SPEC, "none")
    with made.writer() as writer:
        for number, each in enumerate(UTTERANCES):
            writer.add(StoredCodes(each.id, np.full((2, 60 + number), number % 7)))
    return made


def test_a_voice_is_another_utterance_of_the_same_speaker(store: TokenStore) -> None:
    of = spoken(UTTERANCES, store, "train", ["answer"], 1.0)
    for seed in range(20):
        for one, voice in of.pairs(seed):
            if one.speaker == "alone":
                assert voice is None
            else:
                assert voice is not None
                assert voice.speaker == one.speaker
                assert voice.id != one.id
                assert voice.split == "train"
    drawn = {tuple(v.id for _, v in of.pairs(seed) if v) for seed in range(5)}
    assert len(drawn) > 1


def test_who_is_not_known_is_nobodys_voice(store: TokenStore) -> None:
    unknown = [replace(each, speaker=None) for each in UTTERANCES[:4]]
    of = spoken([*unknown, *UTTERANCES[4:]], store, "train", ["answer"], 1.0)
    voices = {one.id: voice for one, voice in of.pairs(0)}
    assert [voices[each.id] for each in unknown] == [None] * 4
    assert voices["u4"] is not None
    assert voices["u4"].speaker == "one"


def test_an_example_is_the_question_and_its_answer(store: TokenStore) -> None:
    of = spoken(UTTERANCES, store, "train", ["answer"], 0.5)
    one, voice = UTTERANCES[1], UTTERANCES[2]
    question, example = of.question(one, voice), of.example(one, voice)
    assert [type(s) for s in example] == [Text, Speech, Speech, Text]
    assert [s.learn for s in example] == [False, False, True, True]
    assert isinstance(question[1], Speech)
    assert question[1].codes.shape == (2, 25), "half a second of the voice at 50 frames a second"
    assert isinstance(example[2], Speech)
    assert np.array_equal(example[2].codes, of.codes(one))
    assert example[3] == Text(STOP, learn=True)


def test_speech_that_goes_on_is_learnt_with_its_voice(store: TokenStore) -> None:
    of = spoken(UTTERANCES, store, "train", ["answer"], 1.0, goes_on=True)
    one, voice = UTTERANCES[1], UTTERANCES[2]
    text, said, end = of.example(one, voice)
    assert text == Text("text 2 text 1"), "the voice's words stand before"
    assert isinstance(said, Speech)
    assert said.learn
    assert np.array_equal(said.codes, np.concatenate([of.codes(voice), of.codes(one)], axis=1))
    assert end == Text(STOP, learn=True)
    asked, begun = of.question(one, voice)
    assert asked == text
    assert isinstance(begun, Speech)
    assert not begun.ends
    assert np.array_equal(begun.codes, of.codes(voice)), "the whole of it"
    alone = of.example(one, None)
    assert alone[0] == Text("text 1")
    assert np.array_equal(alone[1].codes, of.codes(one))  # type: ignore[union-attr]


def test_a_voice_from_which_speech_goes_on_is_short_enough(store: TokenStore) -> None:
    short = [replace(each, duration=0.4) if n in (2, 4) else each
             for n, each in enumerate(UTTERANCES)]  # fmt: skip
    of = spoken(short, store, "train", ["answer"], 0.5, goes_on=True)
    assert {voice.id for _, voice in of.pairs(0) if voice} == {"u2", "u4"}
    cut = spoken(short, store, "train", ["answer"], 0.5)
    assert len({voice.id for _, voice in cut.pairs(0) if voice}) > 2, "others are cut"


def test_without_a_prompt_only_the_text_is_given(store: TokenStore) -> None:
    of = spoken(UTTERANCES, store, "train", [], 0.0)
    assert {voice for _, voice in of.pairs(0)} == {None}
    assert of.question(UTTERANCES[0], None) == [Text("text 0")]


def test_a_split_without_speech_is_refused(store: TokenStore) -> None:
    with pytest.raises(DataError, match="no spoken texts in the split 'dev'"):
        spoken(UTTERANCES, store, "dev", [], 1.0)


def test_a_voice_of_less_than_a_frame_is_refused(store: TokenStore) -> None:
    with pytest.raises(DataError, match=r"shorter than a frame of 0\.02 s"):
        spoken(UTTERANCES, store, "train", [], 0.005)


def test_what_has_no_words_is_not_asked(store: TokenStore) -> None:
    silent = [replace(UTTERANCES[0], text="  \n"), *UTTERANCES[1:3]]
    assert spoken(silent, store, "train", [], 0.0).utterances == UTTERANCES[1:3]
