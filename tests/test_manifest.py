"""Manifests: what is written is read back, lhotse reads it too, and faults are named."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slmkit.api import AudioError, DataError, Interval, Utterance
from slmkit.data.audio import read_utterance, write_audio
from slmkit.data.manifest import load_manifest, read_jsonl_manifest, read_manifest, write_manifest


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "audio" / "a.wav"
    write_audio(path, np.sin(np.arange(16000) / 9).astype(np.float32) / 2, 16000)
    return path


def full_utterance(sound: Path) -> Utterance:
    return Utterance(
        id="u1",
        audio=sound,
        text="three plus five ß",
        speaker="voice-1",
        split="test-voice",
        start=0.25,
        duration=0.5,
        role="answer",
        reply_to="q1",
        topic="sum",
        words=(Interval("three", 0.0, 0.2), Interval("plus", 0.2, 0.31)),
        phones=(Interval("th", 0.0, 0.07),),
        extra={"gender": "F", "pitch": 1.25, "tags": ["a", "b"]},
    )


@pytest.mark.parametrize("name", ["m.jsonl", "m.jsonl.gz"])
def test_what_is_written_is_read_back(tmp_path: Path, sound: Path, name: str) -> None:
    spoken = full_utterance(sound)
    whole = Utterance("u2", sound)
    read = Utterance("t1", None, text="a fact", split="world", topic="sum", extra={"k": 1})
    write_manifest(tmp_path / name, [spoken, read, whole])
    found = load_manifest(tmp_path / name)
    assert found == [spoken, Utterance("u2", sound, duration=1.0), read]
    assert load_manifest(tmp_path / name) == read_manifest(tmp_path / name)


def test_a_manifest_moves_with_its_folder(tmp_path: Path, sound: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", [Utterance("u", sound)])
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    tmp_path.rename(moved)
    (utterance,) = read_manifest(moved / "m.jsonl")
    assert utterance.audio == moved / "audio" / "a.wav"
    assert len(read_utterance(utterance)) == 16000


def test_files_elsewhere_are_named_in_full(tmp_path: Path, sound: Path) -> None:
    write_manifest(tmp_path / "below" / "m.jsonl", [Utterance("u", sound)])
    (utterance,) = read_manifest(tmp_path / "below" / "m.jsonl")
    assert utterance.audio == sound


def test_texts_that_are_gone_leave_no_file(tmp_path: Path, sound: Path) -> None:
    path = tmp_path / "m.jsonl"
    write_manifest(path, [Utterance("u", sound), Utterance("t", None, text="x")])
    write_manifest(path, [Utterance("u", sound)])
    assert [u.id for u in load_manifest(path)] == ["u"]


def test_text_alone_makes_a_manifest(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", [Utterance("t", None, text="x")])
    assert load_manifest(tmp_path / "m.jsonl") == [Utterance("t", None, text="x")]


def test_the_same_utterances_give_the_same_bytes(tmp_path: Path, sound: Path) -> None:
    paths = [tmp_path / "one.jsonl.gz", tmp_path / "two.jsonl.gz"]
    for path in paths:
        write_manifest(path, [full_utterance(sound)])
    assert paths[0].read_bytes() == paths[1].read_bytes()


labels = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=8)
times = st.lists(st.integers(0, 500), min_size=2, max_size=8, unique=True).map(sorted)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.none() | labels, speaker=st.none() | labels, split=labels, marks=times)
def test_any_text_and_times_survive(
    sound: Path, text: str | None, speaker: str | None, split: str, marks: list[int]
) -> None:
    words = tuple(Interval(f"w{i}", a / 1000, b / 1000) for i, (a, b) in enumerate(pairwise(marks)))
    utterance = Utterance("u", sound, text, speaker, split, 0.0, 1.0, words=words)
    write_manifest(sound.parent / "m.jsonl", [utterance])
    assert read_manifest(sound.parent / "m.jsonl") == [utterance]


@pytest.mark.parametrize("name", ["m.jsonl", "m.jsonl.gz"])
def test_lhotse_reads_what_we_write(tmp_path: Path, sound: Path, name: str) -> None:
    lhotse = pytest.importorskip("lhotse")
    utterance = full_utterance(sound)
    write_manifest(tmp_path / name, [utterance])
    cuts = lhotse.CutSet.from_file(tmp_path / name).with_recording_path_prefix(tmp_path)
    (cut,) = cuts
    lhotse.validate(cuts)
    assert (cut.id, cut.start, cut.duration) == ("u1", 0.25, 0.5)
    (supervision,) = cut.supervisions
    assert (supervision.text, supervision.speaker) == (utterance.text, "voice-1")
    assert [(w.symbol, w.start, w.end) for w in supervision.alignment["word"]] == list(
        utterance.words
    )
    assert cut.custom["split"] == "test-voice"
    assert cut.custom["pitch"] == 1.25
    np.testing.assert_array_equal(cut.load_audio()[0], read_utterance(utterance))


def test_we_read_what_lhotse_writes(tmp_path: Path, sound: Path) -> None:
    lhotse = pytest.importorskip("lhotse")
    utterance = full_utterance(sound)
    write_manifest(tmp_path / "ours.jsonl", [utterance, Utterance("u2", sound)])
    lhotse.CutSet.from_file(tmp_path / "ours.jsonl").to_eager().to_file(
        tmp_path / "theirs.jsonl.gz"
    )
    assert read_manifest(tmp_path / "theirs.jsonl.gz") == read_manifest(tmp_path / "ours.jsonl")


def test_a_cut_of_several_supervisions_is_several_utterances(tmp_path: Path, sound: Path) -> None:
    lhotse = pytest.importorskip("lhotse")
    recording = lhotse.Recording.from_file(sound)
    segments = [
        lhotse.SupervisionSegment(
            f"s{i}", recording.id, start=0.5 * i, duration=0.25, text=f"word {i}", speaker="x"
        ).with_alignment("word", [lhotse.supervision.AlignmentItem("word", 0.5 * i, 0.1)])
        for i in range(2)
    ]
    cut = lhotse.MonoCut("c", 0.1, 0.9, 0, supervisions=segments, recording=recording)
    lhotse.CutSet.from_cuts([cut]).to_file(tmp_path / "c.jsonl")
    first, second = read_manifest(tmp_path / "c.jsonl")
    assert (first.id, first.start, first.duration) == ("s0", 0.1, 0.25)
    assert (second.id, second.start, second.text) == ("s1", 0.6, "word 1")
    assert first.words == second.words == (Interval("word", 0.0, 0.1),)


def test_one_side_of_a_two_channel_recording(tmp_path: Path) -> None:
    lhotse = pytest.importorskip("lhotse")
    import soundfile

    stereo = np.stack([np.full(800, 0.25), np.full(800, -0.5)], axis=1)
    soundfile.write(tmp_path / "call.wav", stereo, 8000)
    recording = lhotse.Recording.from_file(tmp_path / "call.wav")
    sides = [lhotse.MonoCut(f"c{i}", 0, 0.1, i, recording=recording) for i in range(2)]
    lhotse.CutSet.from_cuts(sides).to_file(tmp_path / "c.jsonl")
    levels = [read_utterance(u, 8000).mean() for u in read_manifest(tmp_path / "c.jsonl")]
    np.testing.assert_allclose(levels, [0.25, -0.5], atol=1e-3)
    write_manifest(tmp_path / "mean.jsonl", [Utterance("m", tmp_path / "call.wav")])
    (mean,) = read_manifest(tmp_path / "mean.jsonl")
    np.testing.assert_allclose(read_utterance(mean, 8000), -0.125, atol=1e-3)
    (cut,) = lhotse.CutSet.from_file(tmp_path / "mean.jsonl").with_recording_path_prefix(tmp_path)
    assert cut.load_audio().shape == (2, 800)


def write_rows(path: Path, rows: list[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_plain_rows(tmp_path: Path, sound: Path) -> None:
    row = {"id": "a", "audio": "audio/a.wav", "text": None, "duration_s": 1.0, "gender": "M"}
    path = write_rows(tmp_path / "r.jsonl", [row])
    (utterance,) = load_manifest(path)
    assert utterance == Utterance("a", sound, extra={"duration_s": 1.0, "gender": "M"})


FAULTS: list[tuple[list[object], str]] = [
    ([], "empty"),
    ([[1]], r"m.jsonl:1: not a JSON object"),
    ([{"text": "a"}], r"m.jsonl:1: the row has no 'id'"),
    ([{"id": "a", "text": "x"}, {"id": "a", "text": "y"}], r"m.jsonl:2: the id 'a' .*m.jsonl:1"),
    ([{"id": "a", "text": 3}], r"m.jsonl:1: 'text' is not a string but 3"),
    ([{"id": "a", "text": "x", "start": "1"}], r"m.jsonl:1: 'start' is not a number"),
    ([{"id": "a"}], r"m.jsonl:1: 'a' has neither"),
    ([{"id": "a", "text": "x", "words": [["x", 1]]}], r"m.jsonl:1: 'words' is not a list of"),
    (
        [{"id": "a", "text": "x"}, {"id": "b", "audio": "gone.wav"}],
        r"m.jsonl:2: .*'b' is missing: .*gone.wav \(1 of 2",
    ),
    ([{"type": "MixedCut", "id": "a", "tracks": []}], r"m.jsonl:1: cuts of type MixedCut"),
    ([{"type": "MonoCut", "id": "a"}], r"m.jsonl:1: the cut names no recording"),
    ([{"type": "MonoCut", "id": "a", "recording": {"id": 1}}], r"m.jsonl:1: not a complete"),
    ([{"id": "r", "sources": []}], r"m.jsonl:1: .*a lhotse recording: make cuts"),
]


@pytest.mark.parametrize(("rows", "message"), FAULTS)
def test_faults_are_named(tmp_path: Path, rows: list[object], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        load_manifest(write_rows(tmp_path / "m.jsonl", rows))
    assert "\n" not in str(caught.value)


def test_broken_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    with pytest.raises(DataError, match="no such manifest"):
        load_manifest(path)
    path.write_text('{"id": "a", "text": "x"}\n\n{"id": "b", "te\n')
    with pytest.raises(DataError, match=r"m.jsonl:3: not JSON"):
        load_manifest(path)
    path.write_bytes(b'{"id": "a", "text": "\xff"}\n')
    with pytest.raises(DataError, match="cannot be read"):
        load_manifest(path)
    cut_off = tmp_path / "m.jsonl.gz"
    cut_off.write_bytes(gzip.compress(b'{"id": "a", "text": "x"}\n')[:-12])
    with pytest.raises(DataError, match="cannot be read"):
        load_manifest(cut_off)


def test_writing_refuses_what_cannot_be_read_back(tmp_path: Path, sound: Path) -> None:
    path = tmp_path / "m.jsonl"
    with pytest.raises(DataError, match="given twice"):
        write_manifest(path, [Utterance("u", sound), Utterance("u", sound)])
    with pytest.raises(DataError, match="'text' is a field"):
        write_manifest(path, [Utterance("u", sound, extra={"text": "x"})])
    with pytest.raises(DataError, match=r"utterance 'u' cannot be JSON: .*Path"):
        write_manifest(path, [Utterance("u", sound, extra={"origin": sound})])
    with pytest.raises(AudioError, match=r"gone.wav: no such file"):
        write_manifest(path, [Utterance("u", tmp_path / "gone.wav")])
    with pytest.raises(DataError, match=r"ends in .jsonl"):
        write_manifest(tmp_path / "m.txt", [])
    assert not path.exists()


@pytest.mark.speech
def test_the_recorded_manifests_are_read(speech: Path) -> None:
    manifests = [p for p in speech.glob("*/manifest.jsonl") if p.parent.name != "odd_inputs"]
    assert manifests
    for path in manifests:
        utterances = read_jsonl_manifest(path)
        assert len(utterances) == sum(1 for _ in path.open())
        assert all("sample_rate" in u.extra for u in utterances)


def test_neither_torch_nor_lhotse_is_imported() -> None:
    names = ", ".join(f"slmkit.data.{n}" for n in ("audio", "manifest", "store", "content"))
    code = f"import sys, {names}; print({{'torch', 'lhotse'}} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
