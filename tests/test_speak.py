"""`slmkit speak`: a trained run reads aloud."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

import slmkit
from slmkit.api import (
    AudioError,
    CodeSpec,
    DataError,
    MisfitError,
    SlmkitError,
    Speech,
    Text,
    UnknownNameError,
)
from slmkit.cli.speak import speak
from slmkit.data.audio import read_audio, write_audio
from slmkit.generation import reader as reader_module
from slmkit.generation.attempts import Attempt
from slmkit.generation.reader import Reader
from slmkit.generation.sampling import Sampling
from slmkit.host import build
from slmkit.lm.reading import Reading
from slmkit.lm.saving import load_lm
from slmkit.lm.speechlm import SpeechLM
from slmkit.recipe.reader import open_reader
from slmkit.training.keeping import kept_in
from slmkit.web.events import Event, LeftError, Spoke, Visit
from slmkit.web.reading import read

WORDS = ("one two", "two one", "one one two", "two")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of text to speech that has learnt next to nothing."""
    root = tmp_path_factory.mktemp("speak")
    draw = np.random.default_rng(0)
    for split in ("train", "dev", "test"):
        for speaker in ("ann", "bob"):
            folder = root / "corpus" / split / speaker
            folder.mkdir(parents=True)
            for number, text in enumerate(WORDS):
                wav = 0.2 * draw.standard_normal(19_200).astype(np.float32).clip(-3, 3)
                write_audio(folder / f"{split}-{speaker}-{number}.wav", wav, 16000)
                (folder / f"{split}-{speaker}-{number}.txt").write_text(text)
    recipe = {
        "name": "speak",
        "parts": {
            "corpus": {"part": "folder", "path": str(root / "corpus")},
            "tokenizer": {"part": "mel-rvq", "codebooks": 2, "clusters": 8},
            "text": {"part": "characters", "alphabet": " abcdefghijklmnopqrstuvwxyz'"},
            "backbone": {"part": "llama", "width": 16, "layers": 1, "heads": 2},
            "decoding": {"part": "delay"},
        },
        "stages": {
            "prepare": {"stage": "prepare"},
            "fit": {"stage": "fit", "slot": "tokenizer", "needs": ["prepare"]},
            "tokenize": {"stage": "tokenize", "needs": ["fit"]},
            "learn": {"stage": "train-tts", "needs": ["tokenize"], "steps": 2},
        },
    }
    path = root / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    slmkit.run(path, output=root / "run")
    return root / "run"


def tone(path: Path, seconds: float, rate: int = 16000, channels: int = 1) -> Path:
    wave = 0.3 * np.sin(np.arange(round(seconds * rate)) * 0.05)
    soundfile.write(path, np.repeat(wave[:, None], channels, axis=1), rate)
    return path


def ask(run: Path, output: Path, **given: object) -> None:
    settings = {"voice": None, "stage": None, "temperature": 1.0, "top_k": 0, "top_p": 1.0,
                "longest": 1.0, "retries": 2, "seed": 0, **given}  # fmt: skip
    text = settings.pop("text", "one two")
    speak(run, text, output, **settings)  # type: ignore[arg-type]


def test_a_run_speaks_or_says_what_failed(run: Path, tmp_path: Path) -> None:
    voice = tone(tmp_path / "voice.wav", 3.0, rate=48000, channels=2)
    failed = 0
    for seed in range(8):
        out = tmp_path / f"{seed}.wav"
        try:
            ask(run, out, voice=voice, seed=seed, longest=3.0)
        except SlmkitError:
            failed += 1
            assert not out.exists()
            continue
        wave, rate = soundfile.read(out)
        assert rate == 16000
        assert 0 < len(wave) / rate <= 3.2
    assert failed < 8, "of eight seeds one ends"
    with pytest.raises(SlmkitError, match="tried once; nothing was written"):
        ask(run, tmp_path / "never.wav", voice=voice, longest=0.02, retries=0)


def test_a_voice_is_heard_as_far_as_the_model_was_taught(run: Path, tmp_path: Path) -> None:
    reader = open_reader(run)
    assert reader.reading == Reading(prompt_frames=50, stop="<eoa>")
    wav = np.sin(np.arange(80_000) * 0.05).astype(np.float32) / 4
    heard = reader.hear(wav, "it")
    assert heard.shape == (2, 50)
    whole = reader.tokenizer.encode(torch.from_numpy(wav)[None], torch.tensor([80_000]))
    assert np.array_equal(heard, whole.values[0, :, :50].numpy())


@pytest.mark.parametrize(
    ("seconds", "volume", "message"),
    [(0.5, 0.3, r"0\.50 s are too short"), (2.0, 0.0, "it is silent")],
)
def test_what_is_no_voice_is_refused(
    run: Path, tmp_path: Path, seconds: float, volume: float, message: str
) -> None:
    path = tmp_path / "voice.wav"
    soundfile.write(path, volume * np.sin(np.arange(round(seconds * 16000)) * 0.05), 16000)
    with pytest.raises(AudioError, match=message):
        ask(run, tmp_path / "out.wav", voice=path)


@pytest.mark.parametrize(
    ("text", "message"), [("  ", "the text is empty"), ("año", "unknown character")]
)
def test_what_cannot_be_said_is_refused(run: Path, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ask(run, tmp_path / "out.wav", text=text)


def test_the_wrong_run_and_the_wrong_stage_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        ask(tmp_path, tmp_path / "out.wav")
    with pytest.raises(SlmkitError, match="finished stage"):
        ask(run, tmp_path / "out.wav", stage="lern")
    with pytest.raises(DataError, match="no model that reads aloud"):
        ask(run, tmp_path / "out.wav", stage="prepare")


def test_a_voice_is_cut_mixed_and_resampled(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stereo at 48 kHz and mono at 16 kHz are the same voice, and of a long one the start is."""
    wave = 0.3 * np.sin(np.arange(3 * 48_000) * 0.02)
    paths = {}
    for name, rate, channels, seconds in (
        ("stereo", 48_000, 2, 3), ("mono", 16_000, 1, 3), ("long", 48_000, 1, 60)
    ):  # fmt: skip
        sound = np.tile(wave, 20)[: seconds * 48_000][:: 48_000 // rate]
        paths[name] = tmp_path / f"{name}.wav"
        soundfile.write(paths[name], np.repeat(sound[:, None], channels, axis=1), rate)
    reader = open_reader(run)
    heard = {n: reader.hear(read_audio(p, 16_000), n) for n, p in paths.items()}
    assert {each.shape for each in heard.values()} == {(2, 50)}
    same = (heard["stereo"] == heard["mono"]).mean()
    assert same > 0.9, f"{same:.2f} of the codes are the same"
    assert np.array_equal(heard["long"], heard["stereo"])
    with suppress(SlmkitError):  # it may well say nothing; what of the voice is heard comes first
        ask(run, tmp_path / "out.wav", voice=paths["long"], longest=0.1, retries=0)
    assert f"the first 1.0 s of {paths['long']} are heard" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "\n\t", "слово", "日本語", "one\u0000two", "😀"])
def test_bad_texts_are_one_line(run: Path, tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError) as refused:
        ask(run, tmp_path / "out.wav", text=text)
    assert len(str(refused.value).splitlines()) == 1
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.slow
def test_each_model_speaks_with_the_tokenizer_that_it_learnt_from(
    run: Path, tmp_path: Path
) -> None:
    """A run of two tokenizers in slots of their own: the stage says which."""
    recipe = yaml.safe_load((run.parent / "recipe.yaml").read_text())
    coarse = recipe["parts"].pop("tokenizer")
    recipe["parts"]["coarse"] = {"kind": "tokenizer", **coarse}
    recipe["parts"]["fine"] = {"kind": "tokenizer", **coarse, "codebooks": 3}
    recipe["stages"] = {"prepare": {"stage": "prepare"}}
    for slot in ("coarse", "fine"):
        recipe["stages"] |= {
            f"fit-{slot}": {"stage": "fit", "slot": slot, "needs": ["prepare"]},
            f"code-{slot}": {"stage": "tokenize", "slots": {"tokenizer": slot}},
            f"learn-{slot}": {"stage": "train-tts", "steps": 2, "kept": 2},
        }
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    done = slmkit.run(path, output=tmp_path / "run")
    for stage, codebooks in (("learn-coarse", 2), ("learn-fine", 3), (None, 3)):
        reader = open_reader(tmp_path / "run", stage)
        assert reader.tokenizer.spec.codebooks == reader.lm.spec.codebooks == codebooks
        assert not torch.isnan(reader.tokenizer.entries).any(), "it is the fitted one"
    # models kept on the way: the last of them is the model itself, the one before is not
    steps = kept_in(done.paths["learn-fine"])
    assert [step for step, _ in steps] == [1, 2]
    final = load_lm(done.paths["learn-fine"] / "lm").state_dict()
    first, last = (load_lm(place).state_dict() for _, place in steps)
    assert all(torch.equal(last[name], final[name]) for name in final)
    assert any(not torch.equal(first[name], final[name]) for name in final)
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    del about["recipe"]["parts"]["fine"]
    for folder in (tmp_path / "run").rglob("fine"):
        shutil.rmtree(folder)
    (tmp_path / "run" / "run.json").write_text(json.dumps(about))
    with pytest.raises(UnknownNameError, match="unknown slot 'fine'"):
        open_reader(tmp_path / "run")


class OneVoice:
    """Stands where a tokenizer and a vocoder are due."""

    spec = CodeSpec(16000, 320, (8, 8))


def test_a_model_of_one_voice_takes_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    text = build("text", "characters", {"alphabet": "ab"})
    backbone = build("backbone", "llama", {"width": 16, "layers": 1, "heads": 2})
    lm = SpeechLM.new(backbone, build("decoding", "delay"), text, OneVoice.spec, "<eoa>")
    reader = Reader(lm.eval(), Reading(0, "<eoa>"), OneVoice(), OneVoice())  # type: ignore[arg-type]
    with pytest.raises(MisfitError, match="one voice and takes no other"):
        reader.hear(np.ones(20_000, dtype=np.float32), "it")
    asked: list[object] = []

    def seen(lm: object, prompts: list[object], *rest: object) -> list[Attempt]:
        asked.extend(prompts)
        return []

    monkeypatch.setattr(reader_module, "attempts", seen)
    reader.read(["ab"], None, Sampling(), 1.0, 0)
    assert asked == [[Text("ab")]]


def test_a_question_holds_the_beginning_of_a_voice() -> None:
    codes = np.arange(20).reshape(2, 10)
    text, voice = Reading(4, "<eoa>").question("ab", codes)
    assert text == Text("ab")
    assert isinstance(voice, Speech)
    assert np.array_equal(voice.codes, codes[:, :4])
    assert len(Reading(0, "<eoa>").question("ab", codes)) == 1


def test_the_web_page_reads_as_the_command_does(run: Path, tmp_path: Path) -> None:
    reader = open_reader(run)
    voice = read_audio(tone(tmp_path / "voice.wav", 1.5))
    events: list[Event] = []
    with suppress(SlmkitError):
        events.extend(read(reader, "one two", voice, "", 3, Visit()))
    sampling = Sampling(temperature=1.0, seed=3)
    (said,) = reader.read(["one two"], reader.hear(voice, "voice"), sampling, 20.0, 3)
    waves = [event.wave for event in events if isinstance(event, Spoke)]
    assert len(waves) == (said.failure is None)
    if waves:
        assert np.allclose(waves[0], reader.sound(said.codes).numpy(), atol=1e-6)
    visit = Visit()
    visit.leave()
    with pytest.raises(LeftError):
        list(read(reader, "one two", voice, "", 3, visit))


class Listener:
    """Writes down how long a sound is."""

    sample_rate = 8000

    def transcribe(self, wav: torch.Tensor, lengths: torch.Tensor) -> list[str]:
        return [f"{int(lengths[0])} samples" if wav.abs().max() > 0.01 else " "]


def test_what_nobody_tells_of_a_voice_is_heard_by_the_judge(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = open_reader(run)
    going = replace(reader, reading=replace(reader.reading, goes_on=True), listener=Listener)
    wav = np.sin(np.arange(80_000) * 0.05).astype(np.float32) / 4
    assert going.words_in(wav, "it") == "8000 samples", "of one second, as much as is gone on from"
    with pytest.raises(AudioError, match=r"it: no words are heard.*--voice-text"):
        going.words_in(0 * wav, "it")
    monkeypatch.setattr("slmkit.recipe.reader.open_reader", lambda *given: going)
    asked: list[str] = []

    def read(self: Reader, texts: object, voice: object, *given: object) -> list[Attempt]:
        asked.append(str(given[-1]))
        return [Attempt(np.ones((2, 50), dtype=np.int64), None, 1)]

    monkeypatch.setattr(Reader, "read", read)
    voice = tone(tmp_path / "voice.wav", 3.0)
    ask(run, tmp_path / "out.wav", voice=voice, voice_text="")
    assert "the judge hears '8000 samples'" in capsys.readouterr().err
    short = tone(tmp_path / "short.wav", 1.0)
    ask(run, tmp_path / "out.wav", voice=short, voice_text="what I say")
    assert "hears" not in capsys.readouterr().err
    assert asked == ["8000 samples", "what I say"]
