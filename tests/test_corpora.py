"""The corpora manifest, folder and spoken-digits."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from slmkit_corpora.digit_tasks import DIGITS, every_question, hold_out, question

from slmkit.api import DataError, OptionsError, Utterance
from slmkit.data.audio import read_audio, read_utterance, write_audio
from slmkit.data.manifest import read_manifest, write_manifest
from slmkit.host.build import build


def silent_progress(done: int, total: int | None = None, text: str = "") -> None:
    assert total is None or 0 < done <= total


def utterances(name: str, folder: Path, **options: Any) -> list[Utterance]:
    return list(build("corpus", name, options).utterances(folder, silent_progress))


def write_tone(path: Path, samples: int = 1600, hz: float = 300.0, rate: int = 16000) -> Path:
    wav = 0.3 * np.sin(2 * np.pi * hz * np.arange(samples) / rate)
    write_audio(path, wav.astype(np.float32), rate)
    return path


# --- manifest


def write_rows(path: Path, rows: Sequence[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A manifest with good, missing, broken and text-only rows."""
    write_tone(tmp_path / "good.wav")
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    rows = [
        {"id": "good", "audio": "good.wav", "split": "dev"},
        {"id": "gone", "audio": "gone.wav"},
        {"id": "broken", "audio": "broken.wav"},
        {"id": "beyond", "audio": "good.wav", "start": 5.0},
        {"id": "text", "text": "read", "split": "world"},
    ]
    return write_rows(tmp_path / "m.jsonl", rows)


def test_rows_that_cannot_be_used_are_skipped(
    mixed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = utterances("manifest", mixed.parent, manifest=str(mixed), on_error="skip")
    assert [(u.id, u.split) for u in found] == [("good", "dev"), ("text", "world")]
    named = [r.getMessage() for r in caplog.records]
    assert ["'gone'" in named[0], "'broken'" in named[1], "'beyond'" in named[2]] == [True] * 3
    assert "left out 3 of 5" in named[3]


def test_or_stop_the_run(mixed: Path) -> None:
    with pytest.raises(DataError, match=r"m.jsonl:2: .*'gone' is missing: .*\(1 of 5"):
        utterances("manifest", mixed.parent, manifest=str(mixed))
    write_tone(mixed.with_name("gone.wav"))
    with pytest.raises(DataError, match=r"utterance 'broken': .*broken.wav: not sound"):
        utterances("manifest", mixed.parent, manifest=str(mixed))


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "m.jsonl", [{"id": "a", "audio": "gone.wav"}])
    with pytest.raises(DataError, match="none of its 1 utterances can be used"):
        utterances("manifest", tmp_path, manifest=str(path), on_error="skip")


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match="on_error is 'stop' or 'skip', not 'ignore'"):
        build("corpus", "manifest", {"manifest": "m.jsonl", "on_error": "ignore"})
    with pytest.raises(OptionsError, match="manifest"):
        build("corpus", "manifest")
    with pytest.raises(OptionsError, match="option 'gap_ms' is -1"):
        build("corpus", "spoken-digits", {"manifest": "m.jsonl", "gap_ms": -1})


def test_cuts_come_through_with_everything(tmp_path: Path) -> None:
    sound = write_tone(tmp_path / "a.flac")
    given = [
        Utterance("u", sound, "hi", "s", "test-voice", 0.0, 0.1, "answer", "q", "sum"),
        Utterance("t", None, "hi", split="world"),
    ]
    write_manifest(tmp_path / "m.jsonl.gz", given)
    assert utterances("manifest", tmp_path, manifest=str(tmp_path / "m.jsonl.gz")) == given


# --- folder


def test_a_folder_of_audio_and_text(tmp_path: Path) -> None:
    for name in ("test/ann/1.wav", "dev/2.flac", "bob/3.WAV", "4.wav"):
        write_tone(tmp_path / name)
    (tmp_path / "test/ann/1.txt").write_text("Hello\n  there \n")
    (tmp_path / "readme.txt").write_text("not an utterance")
    found = utterances("folder", tmp_path, path=str(tmp_path))
    assert [(u.id, u.split, u.speaker, u.text) for u in found] == [
        ("4", "train", None, None),
        ("bob/3", "train", "bob", None),
        ("dev/2", "dev", None, None),
        ("test/ann/1", "test", "ann", "Hello there"),
    ]
    assert all(len(read_utterance(u)) == 1600 for u in found)


def test_folders_with_faults(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        utterances("folder", tmp_path, path=str(tmp_path / "gone"))
    with pytest.raises(DataError, match="no audio file in it"):
        utterances("folder", tmp_path, path=str(tmp_path))
    write_tone(tmp_path / "a.wav")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"a.txt: cannot be read as text"):
        utterances("folder", tmp_path, path=str(tmp_path))
    (tmp_path / "a.txt").unlink()
    write_tone(tmp_path / "a.flac")
    with pytest.raises(DataError, match=r"same name as a.flac"):
        utterances("folder", tmp_path, path=str(tmp_path))


# --- spoken-digits


def test_the_tasks() -> None:
    payload = ("seven", "four", "nine")
    answers = {
        topic: question(topic, payload)[1:]
        for topic in ("repeat", "reverse", "largest", "smallest")
    }
    assert answers == {
        "repeat": (("one", *payload), payload),
        "reverse": (("two", *payload), ("nine", "four", "seven")),
        "largest": (("three", *payload), ("nine",)),
        "smallest": (("four", *payload), ("four",)),
    }
    asked = [q.asked for q in every_question()]
    assert len(asked) == len(set(asked)) == 4 * (10 * 9 + 10 * 9 * 8)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_is_held_out_is_asked_nowhere_else(seed: int) -> None:
    payloads = hold_out(seed, 60, 240)
    both_ways = {split: {p for q in qs for p in (q, q[::-1])} for split, qs in payloads.items()}
    assert not both_ways["train"] & both_ways["dev"]
    assert not both_ways["train"] & both_ways["test"]
    assert not both_ways["dev"] & both_ways["test"]
    assert [len(payloads[s]) for s in ("train", "dev", "test")] == [660, 15, 60]
    with pytest.raises(OptionsError, match="leave nothing to learn from"):
        hold_out(0, 60, 1600)


SMALL = {"questions": 24, "dev": 4, "test": 8, "words": 40}


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones for digits: two speakers with two recordings a split, and one who lacks a digit."""
    folder = tmp_path_factory.mktemp("digits")
    rows = []
    for speaker, takes, lacks in (("ann", 2, ()), ("bob", 2, ()), ("cid", 1, ("zero",))):
        for split in ("train", "dev", "test"):
            for number, digit in enumerate(DIGITS):
                for take in range(takes if digit not in lacks else 0):
                    name = f"{speaker}-{split}-{digit}-{take}"
                    samples = 400 + 40 * number + 7 * take
                    write_tone(folder / f"{name}.wav", samples, 300 + 100 * number, 8000)
                    row = {"id": name, "audio": f"{name}.wav", "text": digit, "speaker": speaker}
                    rows.append({**row, "split": split})
    rows.append({"id": "other", "audio": rows[0]["audio"], "text": "yes", "speaker": "ann"})
    return write_rows(folder / "manifest.jsonl", rows)


def digits_in(folder: Path, manifest: Path, **options: Any) -> list[Utterance]:
    return utterances("spoken-digits", folder, manifest=str(manifest), **{**SMALL, **options})


def test_questions_have_answers_in_one_voice(digits: Path, tmp_path: Path) -> None:
    found = digits_in(tmp_path, digits)
    by_id = {u.id: u for u in found}
    assert len(by_id) == len(found)
    known = {q.asked: q for q in every_question()}
    for split, count in (("train", 24), ("dev", 4), ("test", 8), ("world", len(known))):
        answers = [u for u in found if u.role == "answer" and u.split == split]
        assert len(answers) == count
        assert len(set(Counter(u.topic for u in answers).values())) == 1
        for answer in answers:
            asked = by_id[str(answer.reply_to)]
            assert (asked.role, asked.split, asked.topic) == ("question", split, answer.topic)
            entry = known[tuple(str(asked.text).split())]
            assert (entry.topic, " ".join(entry.answer)) == (answer.topic, answer.text)
            if split == "world":
                assert (asked.audio, answer.audio, asked.speaker) == (None, None, None)
            else:
                assert answer.speaker == "ann"
                assert asked.speaker in ("bob", "cid")
    assert {u.split for u in found if u.role == "words"} == {"train", "dev", "test"}
    assert {u.speaker for u in found if u.role == "words"} >= {"ann", "bob"}


def test_recordings_stay_in_their_split_and_with_their_speaker(
    digits: Path, tmp_path: Path
) -> None:
    for utterance in digits_in(tmp_path, digits):
        if utterance.audio is not None:
            for recording, digit in zip(
                utterance.extra["recordings"], str(utterance.text).split(), strict=True
            ):
                start = f"{utterance.speaker}-{utterance.split}-{digit}-"
                assert recording.startswith(start)


def test_held_out_questions_are_not_among_what_is_learnt(digits: Path, tmp_path: Path) -> None:
    found = digits_in(tmp_path, digits, words=400)
    texts = {split: {u.text for u in found if u.split == split and u.audio} for split in SPLITS}
    held = {
        u.text for u in found if u.role == "question" and u.split in ("dev", "test") and u.audio
    }
    assert held
    assert not held & texts["train"]
    payloads = {str(text).split(" ", 1)[1] for text in held}
    assert not payloads & texts["train"]


SPLITS = ("train", "dev", "test")


def test_the_sound_is_the_recordings_with_gaps(digits: Path, tmp_path: Path) -> None:
    utterance = digits_in(tmp_path, digits, gap_ms=50)[0]
    wav = read_utterance(utterance)
    assert len(wav) == round(16000 * utterance.duration)  # type: ignore[operator]
    assert [w.label for w in utterance.words] == str(utterance.text).split()
    assert utterance.words[0].start == 0.0
    assert utterance.words[-1].end == utterance.duration
    for word, recording in zip(utterance.words, utterance.extra["recordings"], strict=True):
        original = read_audio(digits.parent / f"{recording}.wav")
        start, end = round(word.start * 16000), round(word.end * 16000)
        inner = slice(64, -64)
        np.testing.assert_allclose(wav[start:end][inner], original[inner], atol=1e-4)
        assert np.abs(wav[end : end + 800]).max(initial=0) == 0


def test_the_same_again_and_a_broken_run_goes_on(digits: Path, tmp_path: Path) -> None:
    corpus = build("corpus", "spoken-digits", {"manifest": str(digits), **SMALL})
    broken: Iterator[Utterance] = corpus.utterances(tmp_path / "a", silent_progress)
    assert len(list(islice(broken, 30))) == 30
    made = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "a").iterdir()}
    assert len(made) == 30
    first = digits_in(tmp_path / "a", digits)
    assert {n: (tmp_path / "a" / n).stat().st_mtime_ns for n in made} == made
    second = digits_in(tmp_path / "b", digits)
    assert [u.id for u in first] == [u.id for u in second]
    for one, two in zip(first, second, strict=True):
        if one.audio is not None and two.audio is not None:
            assert one.audio.name == two.audio.name
            assert one.audio.read_bytes() == two.audio.read_bytes()
    other = digits_in(tmp_path / "b", digits, seed=1)
    assert [u.text for u in other] != [u.text for u in first]


def test_the_assistant_can_be_chosen(digits: Path, tmp_path: Path) -> None:
    found = digits_in(tmp_path, digits, assistant="bob")
    assert {u.speaker for u in found if u.role == "answer" and u.audio} == {"bob"}
    with pytest.raises(DataError, match=r"no speaker 'dan'; there are ann, bob, cid"):
        digits_in(tmp_path, digits, assistant="dan")
    with pytest.raises(DataError, match=r"'cid' does not say all ten digits in each"):
        digits_in(tmp_path, digits, assistant="cid")


def test_splits_that_a_manifest_lacks(digits: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in digits.open()]
    for row in rows:
        row["audio"] = str(digits.parent / row["audio"])
    path = write_rows(tmp_path / "m.jsonl", [r for r in rows if r.get("split") != "dev"])
    with pytest.raises(DataError, match="in split 'dev': set dev to 0"):
        digits_in(tmp_path, path)
    assert digits_in(tmp_path, path, dev=0)
    path = write_rows(tmp_path / "m.jsonl", [rows[-1]])
    with pytest.raises(DataError, match="no recorded digit"):
        digits_in(tmp_path, path)


@pytest.mark.speech
def test_recorded_digits(speech: Path, tmp_path: Path) -> None:
    found = digits_in(tmp_path, speech / "digits_fsdd" / "manifest.jsonl")
    write_manifest(tmp_path / "m.jsonl", found)
    assert read_manifest(tmp_path / "m.jsonl") == found
    assert {u.speaker for u in found if u.role == "answer" and u.audio} == {"fsdd_george"}
    assert {u.speaker for u in found if u.role == "question" and u.audio} == {
        "fsdd_jackson",
        "fsdd_lucas",
        "fsdd_nicolas",
        "fsdd_yweweler",
    }


# --- splits by other names, and two corpora as one


def rows_of(folder: Path, name: str, ids: Sequence[str], split: str = "train") -> Path:
    folder.mkdir(exist_ok=True)
    audio = str(write_tone(folder / f"{name}.wav"))
    rows = [{"id": each, "audio": audio, "text": "a", "split": split} for each in ids]
    return write_rows(folder / f"{name}.jsonl", rows)


def test_splits_take_other_names(tmp_path: Path) -> None:
    path = rows_of(tmp_path, "m", ["a", "b"], "extra")
    found = utterances("manifest", tmp_path, manifest=str(path), splits={"extra": "train"})
    assert [u.split for u in found] == ["train", "train"]
    assert [u.split for u in utterances("manifest", tmp_path, manifest=str(path))] == ["extra"] * 2


def test_two_corpora_are_one(tmp_path: Path) -> None:
    paths = [rows_of(tmp_path, name, [name + "1", name + "2"]) for name in "abc"]
    one, two, three = ({"part": "manifest", "manifest": str(path)} for path in paths)
    inner = {"part": "union", "one": two, "other": three}
    found = utterances("union", tmp_path / "out", one=one, other=inner)
    assert [u.id for u in found] == ["a1", "a2", "b1", "b2", "c1", "c2"]


def test_an_id_of_both_corpora_is_refused(tmp_path: Path) -> None:
    paths = [rows_of(tmp_path, "a", ["x", "y"]), rows_of(tmp_path, "b", ["z", "y"])]
    one, two = ({"part": "manifest", "manifest": str(path)} for path in paths)
    with pytest.raises(DataError, match="both corpora have an utterance 'y'"):
        utterances("union", tmp_path / "out", one=one, other=two)
