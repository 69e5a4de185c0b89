"""The stages `evaluate-codec` and `convert-voices`, run by the engine on a small corpus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from slmkit_codec_evaluation.convert import convert, converted, pairs, whose_words
from slmkit_codec_evaluation.copies import copied, decoded
from slmkit_codec_evaluation.evaluate import comparisons, evaluate, take
from slmkit_codec_evaluation.held_out import unheard
from slmkit_codec_evaluation.plugin import ConvertVoicesOptions, EvaluateCodecOptions
from slmkit_codec_evaluation.scores import COSINE, Measure, Scores
from toy_codec import StairsOptions
from toy_stairs import Stairs

import slmkit
from slmkit.api import (
    AudioError,
    Codes,
    CodeSpec,
    DataError,
    MisfitError,
    OptionsError,
    SpeakerEncoder,
    StageError,
    Tokenizer,
    Utterance,
)
from slmkit.data.audio import read_audio, write_audio
from slmkit.data.store import TokenStore
from slmkit.host import build, load_part

SPEAKERS = {"train": ("anna", "ben"), "test": ("carl", "dora", "anna")}


def voice(pitch: float, seed: int, seconds: float = 0.8) -> np.ndarray:
    """Something like a vowel that comes and goes, with a pitch of its own."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(16000 * seconds)) / 16000
    tones = sum(np.sin(2 * np.pi * pitch * n * time + rng.uniform(0, 6)) / n for n in range(1, 20))
    wav = tones * (0.15 + np.sin(2 * np.pi * 3 * time + rng.uniform(0, 6)) ** 2)
    return (0.1 * wav + 0.005 * rng.normal(size=len(time))).astype(np.float32)


def recorded(folder: Path, each: int = 2) -> Path:
    """A manifest of some utterances of each of a few speakers."""
    rows = []
    for split, names in SPEAKERS.items():
        for name in names:
            for number in range(each):
                id = f"{split}-{name}-{number}"
                pitch = {"anna": 210, "ben": 100, "carl": 120, "dora": 250}[name] + 5 * number
                write_audio(folder / f"{id}.flac", voice(pitch, len(rows)), 16000)
                rows.append({"id": id, "audio": f"{id}.flac", "text": "one two", "split": split,
                             "speaker": name})  # fmt: skip
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder / "manifest.jsonl"


def recipe(folder: Path, manifest: Path, **stages: object) -> Path:
    values = {
        "name": "toy",
        "parts": {
            "corpus": {"part": "manifest", "manifest": str(manifest)},
            "tokenizer": {"part": "mel-rvq", "codebooks": 3, "clusters": 8},
            "judge": {"kind": "transcriber", "part": "ctc", "width": 16, "layers": 1},
            "voices": {"kind": "speaker-encoder", "part": "resemblyzer"},
        },
        "stages": {
            "prepare": {"stage": "prepare"},
            "fit": {"stage": "fit", "needs": ["prepare"]},
            "tokenize": {"stage": "tokenize", "needs": ["fit"]},
            **stages,
        },
    }
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> slmkit.RunResult:
    """One run of every stage."""
    folder = tmp_path_factory.mktemp("run")
    copy = {"stage": "evaluate-codec", "needs": ["tokenize"], "judge": False, "voices": False}
    path = recipe(
        folder,
        recorded(folder),
        listen={"stage": "evaluate-codec", "needs": ["tokenize"], "sounds": 2},
        first={**copy, "books": "first", "label": "first"},
        convert={
            "stage": "convert-voices",
            "needs": ["tokenize"],
            "pairs": 4,
            "sounds": 1,
            "judge": True,
        },
    )
    return slmkit.run(path, output=folder / "run")


@pytest.fixture(scope="module")
def rows(run: slmkit.RunResult) -> dict[str, Any]:
    return {row.metric: row for row in run.results}


@pytest.mark.slow
def test_a_copy_is_measured_in_every_way(rows: dict[str, Any]) -> None:
    on_test = {
        "mel-distance", "stft-distance", "stoi", "pesq", "si-sdr", "similarity", "wer",
        "wer/original", "real-time-factor/encode", "real-time-factor/decode",
    }  # fmt: skip
    assert on_test <= rows.keys()
    for name in on_test:
        assert (rows[name].split, rows[name].n) == ("test", 4), "of speakers unheard in training"
        assert rows[name].low <= rows[name].value <= rows[name].high
    assert rows["bitrate/nominal"].value == 50 * 3 * 3
    assert 0 < rows["bitrate/entropy-coded"].value < rows["bitrate/nominal"].value
    assert {f"codebook-usage/{book}" for book in (1, 2, 3)} <= rows.keys()
    assert not [name for name in rows if name.endswith("/failed")]


@pytest.mark.slow
def test_the_figures_are_those_of_the_parts(run: slmkit.RunResult, rows: dict[str, Any]) -> None:
    """Made again by hand from the recordings and the fitted tokenizer."""
    tokenizer = load_part(run.paths["fit"] / "tokenizer")
    items = json.loads((run.paths["listen"] / "items.json").read_text())
    assert sorted(item["id"] for item in items) == [
        f"test-{name}-{number}" for name in ("carl", "dora") for number in range(2)
    ]
    distances = []
    for item in items:
        wav = read_audio(run.folder.parent / f"{item['id']}.flac")
        codes = tokenizer.encode(torch.from_numpy(wav)[None], torch.tensor([len(wav)]))
        copy = tokenizer.decode(codes)[0][0].numpy()
        top, _ = build("metric", "mel-distance").score(copy, wav)
        assert item["scores"]["mel-distance"] == pytest.approx([top, 1.0])
        distances.append(top)
    assert rows["mel-distance"].value == pytest.approx(np.mean(distances))
    store = TokenStore.open(run.paths["tokenize"] / "codes")
    codes = np.concatenate([row.codes for row in store.select(split="train")], axis=1)
    for book, values in enumerate(codes, start=1):
        shares = np.unique(values, return_counts=True)[1] / len(values)
        assert rows[f"codebook-usage/{book}"].value == 100 * len(shares) / 8
        assert rows[f"codebook-entropy/{book}"].value == pytest.approx(
            -(shares * np.log2(shares)).sum()
        )


@pytest.mark.slow
def test_more_codebooks_are_nearer_and_cost_more(rows: dict[str, Any]) -> None:
    assert rows["mel-distance"].value < rows["first/mel-distance"].value
    assert rows["first/bitrate/nominal"].value == 50 * 3
    assert "first/codebook-usage/2" not in rows
    assert "first/wer" not in rows


@pytest.mark.slow
def test_what_was_exchanged_is_told_pair_by_pair(
    run: slmkit.RunResult, rows: dict[str, Any]
) -> None:
    items = json.loads((run.paths["convert"] / "items.json").read_text())
    assert rows["voice-converted"].n == rows["voice-converted/control"].n == len(items) == 4
    assert rows["wer-to-source"].n == rows["wer-to-reference"].n == 4
    for tail in ("", "/control"):
        near = [item["scores"][f"similarity-to-reference{tail}"][0] for item in items]
        far = [item["scores"][f"similarity-to-source{tail}"][0] for item in items]
        hits = np.array(near) > np.array(far)
        assert rows[f"voice-converted{tail}"].value == 100 * hits.mean()
        assert rows[f"similarity-to-reference{tail}"].value == pytest.approx(np.mean(near))
        assert rows[f"similarity-to-source{tail}"].value == pytest.approx(np.mean(far))


def test_a_judge_hears_whose_words_are_said() -> None:
    said = {"source": "one two four", "reference": "one two three"}
    scores = Scores()
    utterances = {whose: Utterance(id=whose, text=text) for whose, text in said.items()}
    whose_words("one two three", utterances, "a+b", scores)
    assert scores.values["wer-to-source"] == {"a+b": (1, 3)}
    assert scores.values["wer-to-reference"] == {"a+b": (0, 3)}


class Parted(Tokenizer):
    """One codebook holds how loud a frame of 0.1 s is, the other its pitch; the order is chosen."""

    def __init__(self, pitch_first: bool) -> None:
        self.pitch_first = pitch_first
        self.spec = CodeSpec(8000, 800, (64, 64))

    def encode(self, wav: torch.Tensor, lengths: torch.Tensor) -> Codes:
        frames = wav[0, : int(lengths[0])].unfold(0, 800, 800)
        loud = (frames.abs().amax(dim=1) * 63).long()
        pitch = torch.fft.rfft(frames).abs().argmax(dim=1).clamp(max=63)
        books = [pitch, loud] if self.pitch_first else [loud, pitch]
        return Codes.pad([torch.stack(books)], self.spec)

    def decode(self, codes: Codes) -> tuple[torch.Tensor, torch.Tensor]:
        books = codes.values[0].flip(0) if self.pitch_first else codes.values[0]
        turns = books[1].repeat_interleave(800) * torch.arange(800 * books.shape[1]) / 800
        wav = books[0].repeat_interleave(800) / 63 * torch.sin(2 * torch.pi * turns)
        return wav[None], torch.tensor([len(wav)])


class Ear(SpeakerEncoder):
    """A voice is its pitch."""

    sample_rate, width = 8000, 2

    def embed(self, wav: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        pitch = torch.fft.rfft(wav[0]).abs().argmax() * 8000 / wav.shape[1] / 600
        return torch.stack([pitch.cos(), pitch.sin()])[None]


class Bench:
    """A stage's context without an engine."""

    seed = 0

    def __init__(self, folder: Path, **parts: Any) -> None:
        self.folder, self.part = folder, parts.__getitem__
        self.results: list[Any] = []

    def read(self, name: str) -> Path:
        return self.folder

    def result(self, *rows: Any) -> None:
        self.results += rows

    def say(self, line: str) -> None:
        raise AssertionError(line)

    @contextmanager
    def progress(self, text: str, total: int | None = None) -> Iterator[Any]:
        yield lambda *_, **__: None


@pytest.mark.parametrize(("pitch_first", "share"), [(False, 100.0), (True, 0.0)])
def test_a_voice_moves_with_the_codebooks_that_hold_it(
    pitch_first: bool, share: float, tmp_path: Path
) -> None:
    """A codec whose first codebook holds the voice converts none, and is found out."""
    rows = []
    for index, pitch in enumerate((100, 200, 350, 500)):
        wav = 0.5 * np.sin(2 * np.pi * pitch * np.arange(4000) / 8000)
        write_audio(tmp_path / f"{index}.flac", wav.astype(np.float32), 8000)
        rows.append({"id": f"u{index}", "audio": f"{index}.flac", "speaker": f"s{index}",
                     "split": "test"})  # fmt: skip
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    bench = Bench(tmp_path, tokenizer=Parted(pitch_first), voices=Ear())
    convert(ConvertVoicesOptions(pairs=12, sounds=0), bench)
    found = {row.metric: row for row in bench.results}
    assert found["voice-converted"].value == share
    assert found["voice-converted"].n == 12
    assert found["voice-converted/control"].value == 0 < found["voice-converted/control"].high


@pytest.mark.slow
def test_the_report_lets_hear_and_see(run: slmkit.RunResult) -> None:
    page = (run.folder / "report.html").read_text()
    assert page.count("<audio") == 2 * 2 + 3 * 2 + 3
    for words in ("heard in the copy", "Codebooks", "perplexity", "Voices exchanged", "(first)"):
        assert words in page
    assert "What could not be measured" not in page


def test_pairs_follow_the_seed_and_are_of_two_speakers() -> None:
    people = [Utterance(f"{name}{n}", speaker=name) for name in "abc" for n in range(3)]
    drawn = pairs(people, 20, 0)
    assert drawn == pairs(people, 20, 0) != pairs(people, 20, 1)
    assert len(drawn) == len({(a.id, b.id) for a, b in drawn}) == 20
    assert all(a.speaker != b.speaker for a, b in drawn)
    assert {a.id for a, _ in drawn[:9]} == {each.id for each in people}, "sources come in turn"
    assert len(pairs(people, 1000, 0)) == 9 * 6
    for alone in (people[:3], [replace(each, speaker=None) for each in people]):
        with pytest.raises(DataError, match="no two known speakers"):
            pairs(alone, 5, 0)


def test_speakers_of_the_training_are_left_out_where_there_are_others() -> None:
    train = [Utterance("t", speaker="a"), Utterance("n")]
    test = [Utterance(f"{name}", speaker=name, split="test") for name in "ab"]
    assert unheard(test, train + test) == test[1:]
    assert unheard(test[:1], train + test) == test[:1]
    nobody = [Utterance("x", split="test")]
    assert unheard(nobody, train + nobody) == nobody


def test_what_cannot_be_scored_is_counted_and_is_no_number() -> None:
    scores, measure = Scores(), Measure("%", 100.0, "lower")

    def too_short() -> tuple[float, float]:
        raise DataError("too short")

    scores.score("x", measure, "a", lambda: (1.0, 4.0))
    scores.score("x", measure, "b", too_short)
    scores.score("x", measure, "c", lambda: (2.0, 4.0))
    scores.score("y", measure, "b", too_short)
    rows = {row.metric: row for row in scores.rows("test")}
    assert rows.keys() == {"x", "x/failed", "y/failed"}
    assert (rows["x"].value, rows["x"].n) == (37.5, 2)
    assert (rows["x/failed"].value, rows["x/failed"].n) == (1, 3)
    assert (rows["y/failed"].value, rows["y/failed"].n) == (1, 1)
    assert scores.of("b") == {"scores": {}, "failed": {"x": "too short", "y": "too short"}}
    assert list(scores.reasons()) == [("x", "too short", 1), ("y", "too short", 1)]


def test_a_fault_that_is_no_refusal_stops_the_stage() -> None:
    with pytest.raises(ZeroDivisionError):
        Scores().score("x", COSINE, "a", lambda: (1 / 0, 1.0))


def test_a_broken_copy_is_a_failure_of_every_comparison(tmp_path: Path) -> None:
    """The control of the table of failures: a decoder that gives what is no sound."""

    class Broken(Stairs):
        def decode(self, codes: Codes) -> tuple[torch.Tensor, torch.Tensor]:
            wav, lengths = super().decode(codes)
            return wav * torch.nan, lengths

    write_audio(tmp_path / "a.wav", voice(100, 0)[:8000], 8000)
    copy = copied(Utterance("a", audio=tmp_path / "a.wav"), Broken(StairsOptions()), (0, 1, 2))
    scores = Scores()
    take(copy, {"mel-distance": build("metric", "mel-distance")}, scores)
    assert "finite" in scores.failures["mel-distance"]["a"]
    assert "mel-distance" not in scores.values


def test_a_control_that_converts_would_be_seen() -> None:
    scores = Scores()
    for tail in ("", "/control"):
        for item in range(10):
            scores.add(f"similarity-to-source{tail}", COSINE, str(item), (0.4, 1.0))
            scores.add(f"similarity-to-reference{tail}", COSINE, str(item), (0.1 * item, 1.0))
    rows = converted(scores, "test")
    assert [row.value for row in rows] == [50.0, 50.0]
    assert [row.direction for row in rows] == ["higher", "lower"]


@pytest.mark.parametrize("name", ["mel-rvq", "speechtokenizer", "encodec"])
def test_some_codebooks_are_heard_alone(name: str, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(name)
    wav = torch.from_numpy(voice(150, 3, 0.3))[None]
    codes = tokenizer.encode(wav, torch.tensor([wav.shape[1]]))
    books = range(tokenizer.spec.codebooks)
    whole = decoded(codes, tokenizer)[0]
    np.testing.assert_array_equal(decoded(codes, tokenizer, books)[0], whole)
    other = codes.values.clone()
    other[:, 0] = (other[:, 0] + 1) % 8
    changed = replace(codes, values=other)
    rest, first = tuple(books)[1:], (0,)
    heard = decoded(codes, tokenizer, rest)[0]
    np.testing.assert_array_equal(heard, decoded(changed, tokenizer, rest)[0])
    assert not np.array_equal(heard, whole)
    assert not np.array_equal(decoded(codes, tokenizer, first)[0],
                              decoded(changed, tokenizer, first)[0])  # fmt: skip


def tokenizer_of(name: str) -> Any:
    if name != "mel-rvq":
        options = {"speechtokenizer": {"codebooks": "1:3"}, "encodec": {"kbps": 3.0}}
        return build("tokenizer", name, options[name])
    tokenizer = build("tokenizer", name, {"codebooks": 3, "clusters": 8})
    tokenizer.fit([(torch.from_numpy(voice(180, 1))[None], torch.tensor([12800]))])
    return tokenizer


def test_what_a_decoder_cannot_leave_out_is_refused() -> None:
    part = Stairs(StairsOptions())
    codes = Codes.pad([torch.zeros(3, 4, dtype=torch.int64)], part.spec)
    assert torch.equal(part.decode_books(codes, (0, 1, 2))[0], part.decode(codes)[0])
    with pytest.raises(MisfitError, match=r"cannot decode codebooks 1, 3 of 3 alone"):
        part.decode_books(codes, (0, 2))
    seanet = tokenizer_of("encodec")
    codes = Codes.pad([torch.zeros(4, 4, dtype=torch.int64)], seanet.spec)
    with pytest.raises(MisfitError, match="follow each other, not 1, 3"):
        seanet.decode_books(codes, (0, 2))


def test_faults_of_a_recipe_are_found_before_any_work(tmp_path: Path) -> None:
    manifest = recorded(tmp_path, 1)
    stage = {"stage": "evaluate-codec", "needs": ["tokenize"]}
    path = recipe(tmp_path, manifest, copy={**stage, "books": "second"})
    with pytest.raises(OptionsError, match="books 'second' is none of"):
        slmkit.run(path, output=tmp_path / "run")
    path = recipe(tmp_path, manifest, copy=stage)
    with pytest.raises(MisfitError, match="needs a tokenizer that decodes by itself"):
        slmkit.run(path, output=tmp_path / "run", overrides=["parts.tokenizer={part: mel-km}"])
    assert not (tmp_path / "run" / "stages").exists()


def test_without_texts_a_judge_is_refused(tmp_path: Path) -> None:
    manifest = recorded(tmp_path, 1)
    manifest.write_text(manifest.read_text().replace('"one two"', "null"))
    stage = {"stage": "evaluate-codec", "needs": ["tokenize"], "voices": False}
    with pytest.raises(DataError, match=r"no texts to hold the judge to.*judge=false"):
        slmkit.run(recipe(tmp_path, manifest, copy=stage), output=tmp_path / "run")


def test_where_nothing_can_be_copied_the_stage_ends_with_the_reason(tmp_path: Path) -> None:
    class Deaf(Parted):
        def encode(self, wav: torch.Tensor, lengths: torch.Tensor) -> Codes:
            raise AudioError("too quiet")

    write_audio(tmp_path / "a.flac", voice(100, 0), 16000)
    (tmp_path / "manifest.jsonl").write_text('{"id": "a", "audio": "a.flac", "split": "test"}\n')
    options = EvaluateCodecOptions(judge=False, voices=False)
    with pytest.raises(StageError, match="none of 1 utterances could be copied: too quiet"):
        evaluate(options, Bench(tmp_path, tokenizer=Deaf(pitch_first=False)))


def test_a_metric_that_is_not_installed_is_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slmkit.host.registry._installed", lambda module: module != "pesq")
    said: list[str] = []
    found = comparisons(SimpleNamespace(say=said.append))
    assert found.keys() == {"mel-distance", "stft-distance", "stoi", "si-sdr"}
    assert said == ["not measured: metric 'pesq' needs pesq: pip install 'slmkit[eval]'"]
