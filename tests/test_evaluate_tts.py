"""What text to speech is asked, how it is judged, and what comparisons make of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from slmkit_tts import compare as comparing
from slmkit_tts.cases import Case, cases_of, questions
from slmkit_tts.drawing import COLOURS, HATCHES, INK, LINES, MARKERS, draw_bars, draw_courses
from slmkit_tts.evaluate import check_codes
from slmkit_tts.figured import failures, figures, items, paired_items
from slmkit_tts.judging import Ear, Said, best_of
from slmkit_tts.plugin import CompareTtsOptions, EvaluateTtsOptions

from slmkit.api import (
    AudioError,
    Codes,
    CodeSpec,
    DataError,
    MisfitError,
    Speech,
    Tokenizer,
    Utterance,
)
from slmkit.data.audio import write_audio
from slmkit.data.intervals import bootstrap, paired_difference, proportion
from slmkit.data.shards import StoredCodes
from slmkit.data.store import TokenStore
from slmkit.generation import measuring
from slmkit.generation.attempts import Attempt
from slmkit.generation.sampling import Sampling
from slmkit.host import build
from slmkit.lm.speechlm import SpeechLM
from slmkit.lm.vocabulary import Vocabulary

SPEC = CodeSpec(16000, 320, (8, 8))
TEXT = build("text", "characters", {"alphabet": " abcdefghijklmnopqrstuvwxyz0123456789"})


def utterance(number: int, speaker: str | None, split: str, seconds: float = 2.0) -> Utterance:
    return Utterance(
        id=f"u{number}", audio=Path(f"u{number}.flac"), text=f"text {number}", speaker=speaker,
        split=split, duration=seconds,
    )  # fmt: skip


CORPUS = [
    *(utterance(n, "ann", "train") for n in range(2)),
    *(utterance(10 + n, "ann", "test", 0.5 if n == 0 else 2.0) for n in range(4)),
    *(utterance(20 + n, "bob", "test") for n in range(4)),
    utterance(30, "cid", "test"),
    utterance(31, None, "test"),
    *(utterance(40 + n, "dot", "test-voice") for n in range(3)),
]


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    made = TokenStore.create(tmp_path / "codes", SPEC, "none")
    with made.writer() as writer:
        for number, each in enumerate(CORPUS):
            writer.add(StoredCodes(each.id, np.full((2, 60 + number), number % 7)))
    return made


def asked(store: TokenStore, **options: Any) -> list[Case]:
    return cases_of(EvaluateTtsOptions(**options), CORPUS, store, Vocabulary(TEXT))[1]


# --- what is asked


def test_a_case_has_its_own_voice_and_a_strangers(store: TokenStore) -> None:
    cases = asked(store)
    assert [case.utterance.id for case in cases] == [u.id for u in CORPUS if u.split == "test"]
    for case in cases:
        if case.utterance.speaker in ("cid", None):
            assert case.voice is None or case.utterance.speaker is None
            assert case.stranger is None
            continue
        assert case.voice is not None
        assert case.voice.speaker == case.utterance.speaker
        assert case.voice.id != case.utterance.id
        assert case.voice.id != "u10", "half a second shows no voice"
        assert case.stranger is not None
        assert case.stranger.speaker not in (None, case.utterance.speaker)
        assert case.stranger.split == "test"
    assert {c.utterance.speaker: c.known for c in cases} == {
        "ann": True, "bob": False, "cid": False, None: False
    }  # fmt: skip
    assert len({c.stranger.id for c in cases if c.stranger}) > 2, "drawn, not always the first"


def test_several_splits_come_in_turn_and_lend_each_other_strangers(store: TokenStore) -> None:
    cases = asked(store, split="test+test-voice", items=5)
    assert [c.utterance.id for c in cases] == ["u10", "u40", "u11", "u41", "u12"]
    whole = asked(store, split="test+test-voice")
    assert whole[:5] == cases, "what is asked does not hang on how much is"
    assert {c.stranger.split for c in whole if c.stranger} == {"test", "test-voice"}
    for case in whole:
        if case.voice:
            assert case.voice.split == case.utterance.split


def test_a_voice_that_is_not_told_is_still_compared_with(store: TokenStore) -> None:
    untold = EvaluateTtsOptions(tell_voice=False)
    of, cases = cases_of(untold, CORPUS, store, Vocabulary(TEXT))
    assert cases == asked(store), "the same texts, voices and strangers"
    heard = [
        any(isinstance(segment, Speech) for segment in question)
        for question in questions(untold, of, cases)
    ]
    assert not any(heard)
    told = questions(EvaluateTtsOptions(), of, cases)
    assert [len(q) == 2 for q in told] == [c.voice is not None for c in cases]


def test_a_short_prompt_is_better_than_none_where_it_is_asked_for(store: TokenStore) -> None:
    voices = {c.voice.id for c in asked(store, prompt_seconds=0.4) if c.voice}
    assert "u10" in voices
    assert {c.voice for c in asked(store, prompt_seconds=0.0)} == {None}


@pytest.mark.parametrize("text", ["año", "слово", "日本", "one\x00"])
def test_a_text_of_another_script_is_refused_by_its_name(store: TokenStore, text: str) -> None:
    corpus = [*CORPUS[:3], replace(CORPUS[3], text=text), *CORPUS[4:]]
    with pytest.raises(DataError, match="utterance 'u11': its text cannot be read") as refused:
        cases_of(EvaluateTtsOptions(), corpus, store, Vocabulary(TEXT))
    assert "\n" not in str(refused.value)


def test_codes_of_another_tokenizer_are_refused(store: TokenStore) -> None:
    backbone = build("backbone", "llama", {"width": 16, "layers": 1, "heads": 2})
    lm = SpeechLM.new(backbone, build("decoding", "delay"), TEXT, SPEC, "<eoa>")
    check_codes(lm, Levels(), store)
    other = Levels()
    other.spec = CodeSpec(16000, 320, (8, 9))
    with pytest.raises(MisfitError, match=r"the tokenizer gives codes of another kind.*SLOT"):
        check_codes(lm, other, store)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"draws": 3, "temperature": 0.0}, "always says the same"),
        ({"draws": 3, "top_k": 1}, "always says the same"),
        ({"draws": 0}, "at least 1"),
        ({"split": "test+"}, "spelt like"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        EvaluateTtsOptions(**options)


# --- how it is judged


class Levels(Tokenizer):
    """Decodes a frame of code n as samples of n / 8."""

    spec = SPEC

    def encode(self, wav: torch.Tensor, lengths: torch.Tensor) -> Codes:
        raise AssertionError("never asked")

    def decode(self, codes: Codes) -> tuple[torch.Tensor, torch.Tensor]:
        return (codes.values[:, 0] / 8).repeat_interleave(320, dim=1), codes.lengths * 320


class Judge:
    """Hears a word for each level; of another rate than what is said."""

    sample_rate = 8000

    def transcribe(self, wav: torch.Tensor, lengths: torch.Tensor) -> list[str]:
        self.samples = int(lengths[0])
        return [f"text {round(8 * float(wav[0].abs().max()))}"]


class Voices:
    """A voice is its level as an angle."""

    sample_rate = 16000

    def embed(self, wav: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        level = wav[0].abs().max()
        if not level:
            raise AudioError("no voice is heard")
        return torch.stack([level.cos(), level.sin()])[None]


def recorded(folder: Path, name: str, level: float, speaker: str = "ann") -> Utterance:
    write_audio(folder / f"{name}.wav", np.full(16_000, level, dtype=np.float32), 16000)
    return Utterance(name, folder / f"{name}.wav", "text 4", speaker, "test")


def case(folder: Path, voice: float = 0.5, stranger: float = 0.1, known: bool = True) -> Case:
    said = recorded(folder, "said", 0.5)
    voices = recorded(folder, f"v{voice}", voice), recorded(folder, f"s{stranger}", stranger, "bob")
    return Case(said, *voices, known)


def attempt(code: int, frames: int = 40, failure: Any = None, tries: int = 1) -> Attempt:
    return Attempt(np.full((2, frames), code), failure, tries)


def test_words_and_voices_are_judged_each_at_its_own_rate(tmp_path: Path) -> None:
    judge = Judge()
    ear = Ear(Levels(), judge, Voices())
    one = case(tmp_path)
    ear.meet(one)
    right, wrong, silent, nothing = ear.judge_all(
        [one] * 4, [attempt(4), attempt(1), attempt(0), attempt(0, 0, "empty")]
    )
    assert judge.samples == 40 * 160, "brought to the judge's rate"
    assert (right.heard, right.errors, right.words) == ("text 4", 0, 2)
    assert (wrong.heard, wrong.errors) == ("text 1", 1)
    assert (nothing.heard, nothing.errors) == ("", 2), "what did not come counts as wrong"
    assert right.alike == pytest.approx(1.0, abs=1e-3)
    assert right.stranger == pytest.approx(np.cos(0.4), abs=1e-3)
    assert right.nearer
    assert not wrong.nearer, "it sounds like the stranger"
    for mute in (silent, nothing):
        assert (mute.alike, mute.stranger, mute.nearer) == (0.0, 0.0, False)


def test_a_silent_prompt_is_refused_before_anything_is_spoken(tmp_path: Path) -> None:
    ear = Ear(Levels(), Judge(), Voices())
    for voice, stranger, name in ((0.0, 0.1, "v0.0"), (0.5, 0.0, "s0.0")):
        with pytest.raises(AudioError, match=f"'{name}', a voice for 'said': it is silent"):
            ear.meet(case(tmp_path, voice, stranger))


def test_the_best_draw_has_the_fewest_wrong_words(tmp_path: Path) -> None:
    one = case(tmp_path)
    ear = Ear(Levels(), Judge(), Voices())
    ear.meet(one)
    wrong, right, failed = attempt(1), attempt(4, 30), attempt(4, 50, "endless")
    rows = [wrong, failed, wrong], [right, right, attempt(2)], [attempt(4), wrong, wrong]
    draws = [ear.judge_all([one] * 3, row) for row in rows]
    frames = [each.attempt.codes[0] for each in best_of(draws)]
    assert [(int(f[0]), len(f)) for f in frames] == [(4, 30), (4, 30), (1, 40)]
    assert best_of(draws[:1]) == draws[0], "of one draw it is that draw"


def said(one: Case, errors: float, alike: float, stranger: float, failure: Any = None) -> Said:
    return Said(
        one, attempt(1, failure=failure), np.ones(9, np.float32), "", errors, 4.0, alike, stranger
    )


def test_figures_are_what_their_items_say(tmp_path: Path) -> None:
    known, new = case(tmp_path), case(tmp_path, known=False)
    judged = [said(known, 1, 0.9, 0.2), said(new, 3, 0.4, 0.6), said(new, 0, 0.7, 0.7)]
    rows = {row.metric: row for row in figures(judged, "", "test")}
    wer = rows["wer"]
    assert (wer.value, wer.n, wer.unit, wer.direction) == (
        pytest.approx(100 * 4 / 12),
        3,
        "%",
        "lower",
    )
    assert (wer.low, wer.high) == pytest.approx(
        [100 * x for x in bootstrap([1, 3, 0], [4, 4, 4])[1:]]
    )
    assert rows["similarity"].value == pytest.approx(2 / 3)
    assert rows["stranger-similarity"].value == pytest.approx(0.5)
    share = rows["nearer-to-prompt"]
    assert [share.value, share.low, share.high] == pytest.approx(
        [100 * x for x in proportion(1, 3)]
    )
    assert rows["wer/known-voices"].value == 25
    assert rows["wer/known-voices"].n == 1
    assert rows["wer/new-voices"].value == pytest.approx(100 * 3 / 8)
    assert rows["nearer-to-prompt/new-voices"].value == 0
    swapped = [replace(each, alike=each.stranger, stranger=each.alike) for each in judged]
    other = {row.metric: row for row in figures(swapped, "", "test")}
    assert other["nearer-to-prompt"].value == share.value, (
        "one is nearer to the stranger, one to none"
    )
    alone = [replace(each, alike=None, stranger=None) for each in judged]
    assert {row.metric for row in figures(alone, "/x", "test")} == {
        "wer/x", "wer/x/known-voices", "wer/x/new-voices"
    }  # fmt: skip


def test_runs_are_compared_by_the_items_of_these_rows(tmp_path: Path) -> None:
    judged = [said(case(tmp_path), 1, 0.9, 0.2), said(case(tmp_path), 3, 0.4, 0.6)]
    rows = {row.metric: row.value for row in figures(judged, "", "test")}
    found = paired_items(judged)
    assert all(set(item) == {"id", "scores"} for item in found)
    for measure, scale in (
        ("wer", 100), ("similarity", 1), ("stranger-similarity", 1), ("nearer-to-prompt", 100),
    ):  # fmt: skip
        tops, bottoms = zip(*(item["scores"][measure] for item in found), strict=True)
        assert scale * sum(tops) / sum(bottoms) == pytest.approx(rows[measure], rel=1e-6)
    unheard = replace(judged[0], alike=None, stranger=None)
    assert set(paired_items([unheard])[0]["scores"]) == {"wer"}


def test_failures_are_counted_by_kind(tmp_path: Path) -> None:
    one = case(tmp_path)
    judged = [said(one, 0, 1, 0, failure) for failure in (None, "empty", "endless", "endless")]
    rows = {row.metric: row.value for row in failures(judged, "/best-of-2", "test")}
    assert rows == {
        "failed/best-of-2": 75, "failed/empty/best-of-2": 25, "failed/endless/best-of-2": 50,
        "failed/repeated/best-of-2": 0, "tries/best-of-2": 1,
    }  # fmt: skip


def test_throughput_is_of_the_same_speech_alone_and_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[list[int]] = []

    def complete(lm: Any, prompts: Any, sampling: Any, rows: list[int]) -> list[list[Speech]]:
        calls.append(list(rows))
        return [[Speech(np.zeros((2, 50), dtype=np.int64))] for _ in prompts]

    monkeypatch.setattr(measuring, "complete", complete)
    lm: Any = SimpleNamespace(spec=SPEC)
    rows = {row.metric: row for row in measuring.throughput(lm, [[]] * 3, Sampling(), "test")}
    assert calls == [[0], [1], [2], [0, 1, 2]], "the same random streams both ways"
    assert set(rows) == {"throughput/batch-1", "throughput/batch-3"}
    assert all(row.value > 0 and row.direction == "higher" and row.n == 3 for row in rows.values())
    assert not list(measuring.throughput(lm, [], Sampling(), "test"))


def test_the_real_time_factor_has_an_interval_over_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(measuring, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    frames = {0: 50, 1: 0, 2: 150}

    def stream(lm: Any, prompt: Any, sampling: Any, row: int) -> list[Speech]:
        return [Speech(np.zeros((2, frames[row]), dtype=np.int64))]

    monkeypatch.setattr(measuring, "stream", stream)
    lm: Any = SimpleNamespace(spec=SPEC)
    rows = {row.metric: row for row in measuring.times(lm, [[]] * 3, Sampling(), "test")}
    # begun, first frames and end are a tick each: two seconds for one of speech, and for three
    factor = rows["real-time-factor"]
    assert (factor.value, factor.n) == (1.0, 2)
    assert (factor.low, factor.high) == (pytest.approx(2 / 3), 2.0)
    assert rows["first-frames"].value == 1000


# --- what comparisons make of it


def left(folder: Path, name: str, scores: list[tuple[float, float]], **fields: Any) -> Path:
    """What an evaluate-tts would have left of items with these (errors of four words, likeness)."""
    one = Case(
        utterance(1, "ann", "test"), utterance(2, "ann", "test"), utterance(3, "bob", "test"), True
    )
    judged = [
        said(replace(one, utterance=utterance(n, "ann", "test")), errors, alike, 0.1)
        for n, (errors, alike) in enumerate(scores)
    ]
    record = {"label": name, "split": "test", "draws": 1, "course": [],
              "items": items(judged, judged, [{} for _ in judged]), **fields}  # fmt: skip
    (folder / name).mkdir()
    (folder / name / "said.json").write_text(json.dumps(record))
    return folder / name


class Context:
    """As much of a stage's context as a comparison needs."""

    def __init__(self, folder: Path, **paths: Path) -> None:
        self.folder, self.paths = folder, paths
        self.results: list[Any] = []

    def path(self, stage: str) -> Path:
        return self.paths[stage]

    def result(self, *rows: Any) -> None:
        self.results += rows


def test_differences_are_paired(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    hard = draw.integers(0, 4, 40).astype(float)
    one = left(tmp_path, "one", [(h, 0.5 + h / 10) for h in hard])
    other = left(tmp_path, "other", [(h + (n % 10 == 0), 0.4 + h / 10) for n, h in enumerate(hard)])
    context = Context(tmp_path, a=one, b=other)
    comparing.compare(CompareTtsOptions(said=["a", "b"]), context)  # type: ignore[arg-type]
    rows = {row.metric: row for row in context.results}
    wer = rows["one-less-other/wer"]
    assert wer.value == pytest.approx(-100 * 4 / 160)
    harder = [(h + (n % 10 == 0), 4.0) for n, h in enumerate(hard)]
    expected = paired_difference([(h, 4.0) for h in hard], harder)
    assert [wer.low, wer.high] == pytest.approx([100 * x for x in expected[1:]])
    apart = bootstrap(hard.tolist(), [4.0] * 40)
    assert wer.high - wer.low < 100 * (apart[2] - apart[1]) / 2, "what is hard is hard for both"
    alike = rows["one-less-other/similarity"]
    assert (alike.low, alike.value, alike.high) == pytest.approx((0.1, 0.1, 0.1))
    blocks = json.loads((tmp_path / "report.json").read_text())
    assert [block["type"] for block in blocks] == ["figure", "sounds"]


def test_stages_that_were_not_asked_the_same_are_refused(tmp_path: Path) -> None:
    paths = {
        "a": left(tmp_path, "one", [(1, 0.5), (2, 0.5)]),
        "b": left(tmp_path, "fewer", [(1, 0.5)]),
        "c": left(tmp_path, "again", [(1, 0.5), (2, 0.5)], label="one"),
        "d": tmp_path,
        "e": left(tmp_path, "often", [(1, 0.5), (2, 0.5)], draws=4),
    }
    for other, fault in (
        ("b", "'a' and 'b' did not say the same texts"),
        ("c", "two stages are labelled 'one'"),
        ("e", "drew each text 1 and 4 times"),
        ("d", "no text was said here: name a stage evaluate-tts"),
    ):
        with pytest.raises(DataError, match=fault):
            comparing.compare(CompareTtsOptions(said=["a", other]), Context(tmp_path, **paths))  # type: ignore[arg-type]
    (tmp_path / "said.json").write_text('{"other": 1}')
    with pytest.raises(DataError, match="no text was said"):
        comparing.read_items(tmp_path)
    for options in ({"said": ["a"]}, {"said": ["a", "b"], "learnt": ["c"]}):
        with pytest.raises(ValueError, match="said"):
            CompareTtsOptions(**options)


# --- figures


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


@pytest.mark.parametrize("page", ["#fdfdfc", "#14181e"])
@pytest.mark.parametrize("colour", [INK, *COLOURS])
def test_lines_and_words_stand_out_on_light_and_on_dark(colour: str, page: str) -> None:
    lighter, darker = sorted((luminance(colour), luminance(page)), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 3, "WCAG 2.1, 1.4.11"


def test_colour_is_not_the_only_sign() -> None:
    for signs in (COLOURS, MARKERS, LINES, HATCHES):
        assert len(set(signs)) == len(signs) == len(COLOURS)


def test_figures_hold_every_name_and_value_as_words() -> None:
    bars = draw_bars(["one", "the & other"], {"wer": [(12.5, 10, 15), (25.0, 20, 31)]})
    ElementTree.fromstring(bars.encode())
    for word in ("one", "the &amp; other", "12.5", "25", "wer"):
        assert f">{word}<" in bars.replace("\n", ""), word
    curves = {"loss": {"one": [(0, 3.0), (5, 1.0)], "two": [(0, 2.0)]}, "wer": {"two": [(5, 40.0)]}}
    courses = draw_courses(curves)
    ElementTree.fromstring(courses.encode())
    assert all(f">{word}<" in courses for word in ("one", "two", "loss", "wer", "step"))
    assert draw_courses(curves) == courses, "the same figure is the same file"
