"""Vocoders in several voices: what they are given, what they keep, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lively import enliven
from torch.utils.data import DataLoader
from toy_lm import Place

import slmkit
from slmkit.api import (
    Codes,
    CodeSpec,
    DataError,
    MisfitError,
    OptionsError,
    UnknownNameError,
    Utterance,
)
from slmkit.codecs.decoding_vocoder import DecodingVocoder
from slmkit.codecs.hifigan import HifiGanSizes, UnitHifiGan
from slmkit.codecs.losses import SpectralLoss
from slmkit.data import speaking
from slmkit.data.audio import write_audio
from slmkit.host import build, load_part, save_part
from slmkit.recipe.context import Context
from slmkit.recipe.resolve import resolve
from slmkit.recipe.watch import default_watch
from slmkit.training.trainer import make_trainer
from slmkit.training.vocoder import (
    CropsOfSteps,
    Spoken,
    VocoderLearner,
    VocoderTraining,
    fit_unit_vocoder,
)
from slmkit.training.voices import voices_of

SPEC = CodeSpec(16000, 320, (20,))
SMALL = {
    "part": "unit-hifigan",
    "embedding_dim": 16,
    "upsample_rates": [8, 5, 8],
    "upsample_kernel_sizes": [16, 11, 16],
    "upsample_initial_channel": 32,
    "resblock_kernel_sizes": [3],
    "resblock_dilations": [1, 3],
}
OPTIONS = {name: value for name, value in SMALL.items() if name != "part"}
TRAINING = VocoderTraining(steps=40, lr=1e-3, batch=6, frames=4)


def spoken(speakers: list[str | None], width: int = 5) -> list[Spoken]:
    """Utterances whose embedding holds their number."""
    return [
        Spoken(
            np.arange(3 + number % 4) % 20,
            np.full(3 + number % 4, 2),
            np.zeros((3 + number % 4) * 640, dtype=np.float32),
            speaker,
            np.full(width, number, dtype=np.float32),
        )
        for number, speaker in enumerate(speakers)
    ]


def sizes(**kind: int) -> HifiGanSizes:
    return HifiGanSizes(20, 16, (8, 5, 8), (16, 11, 16), 32, (3,), ((1, 3),), **kind)


def test_a_voice_is_shown_by_another_utterance_of_the_speaker() -> None:
    speakers = ["b", "a", "b", "c", None, None, "b"]
    every = spoken(speakers)
    voices = voices_of(every, sizes(embedder_dim=5))
    crops = CropsOfSteps(every, 320, TRAINING, 0, voices)
    plain = CropsOfSteps(every, 320, TRAINING, 0)
    seen: dict[int, set[int]] = {}
    for step in range(40):
        batch, same = crops[step], plain[step]
        assert torch.equal(batch.units, same.units), "voices do not change what is cropped"
        assert torch.equal(batch.speaker, crops[step].speaker), "a pure function of the step"
        assert same.speaker is None
        rng = np.random.default_rng((0, step))
        for cropped, vector in zip(rng.integers(len(every), size=6), batch.speaker, strict=True):
            seen.setdefault(int(cropped), set()).add(int(vector[0]))
    assert seen[0] == {2, 6}
    assert seen[2] == {0, 6}
    assert all(seen[alone] == {alone} for alone in (1, 3, 4, 5))


def test_a_table_counts_the_speakers_in_their_order() -> None:
    voices = voices_of(spoken(["b", "a", "b", "c"]), sizes(num_speakers=7))
    assert voices.draw([0, 1, 2, 3], np.random.default_rng(0)).tolist() == [1, 0, 1, 2]
    with pytest.raises(DataError, match="speaker of every"):
        voices_of(spoken(["b", None]), sizes(num_speakers=7))
    assert voices_of(spoken(["b", None]), sizes()) is None


def test_short_utterances_show_voices_and_are_not_cropped() -> None:
    every = spoken(["a"] * 8)
    training = VocoderTraining(steps=30, lr=1e-3, batch=6, frames=12)
    crops = CropsOfSteps(every, 320, training, 0, voices_of(every, sizes(embedder_dim=5)))
    assert crops.numbers == [3, 7]
    shown = {int(v[0]) for step in range(30) for v in crops[step].speaker}
    assert shown == set(range(8))


def test_every_voice_gets_gradients_and_only_those_that_spoke() -> None:
    generator = UnitHifiGan(sizes(num_speakers=4))
    units = torch.randint(0, 20, (2, 5))
    generator(units, torch.tensor([1, 3])).square().sum().backward()
    touched = generator.spkr.weight.grad.abs().sum(dim=1) > 0
    assert touched.tolist() == [False, True, False, True]


def vocoder(**options: Any) -> Any:
    torch.manual_seed(0)
    part = build("vocoder", "unit-hifigan", {**OPTIONS, **options}, spec=SPEC)
    enliven(part.generator)
    return part


def test_voices_are_kept_by_name_and_number(tmp_path: Path) -> None:
    codes = Codes.pad([torch.arange(6)[None]], SPEC)
    table = vocoder(speakers=4)
    table.keep_voices(["anna", "ben", "7"])
    assert int(table.voice("ben")) == int(table.voice("1")) == 1
    assert int(table.voice("3")) == 3, "a row without a name has its number"
    assert int(table.voice("7")) == 2, "a name comes before a number"
    heard = vocoder(speaker_width=8, voice="ben")
    heard.keep_voices(["anna", "ben"], torch.randn(2, 8), {"part": "resemblyzer"})
    for name, part in {"table": table, "heard": heard}.items():
        origin = part.origin
        save_part(part, tmp_path / name, origin.shelved, origin.options, origin.given)
        again = load_part(tmp_path / name)
        assert torch.equal(again.voice("ben"), part.voice("ben"))
        assert again.voice_encoder == part.voice_encoder
    wav, _ = again.synthesize(codes)
    assert torch.equal(wav, heard.synthesize(codes, heard.voice("ben")[None])[0])
    other, _ = heard.synthesize(codes, heard.voice("anna")[None])
    assert float((wav - other).abs().max()) > 0.01
    with pytest.raises(UnknownNameError, match=r"voice 'bem'.*did you mean ben"):
        again.voice("bem")


def test_names_go_out_in_fairseqs_layout_and_come_back(tmp_path: Path) -> None:
    table = vocoder(speakers=3)
    table.keep_voices(["anna", "ben"])
    table.save_fairseq(tmp_path)
    files = {"config": str(tmp_path / "config.json"), "weights": str(tmp_path / "g_00000000")}
    again = build("vocoder", "unit-hifigan", files, spec=SPEC)
    assert int(again.voice("ben")) == 1
    codes, voice = Codes.pad([torch.arange(6)[None]], SPEC), torch.tensor([1])
    torch.testing.assert_close(again.synthesize(codes, voice)[0], table.synthesize(codes, voice)[0])


def test_what_cannot_be_kept_is_refused() -> None:
    with pytest.raises(MisfitError, match="speakers=3 or more"):
        vocoder(speakers=2).keep_voices(["a", "b", "c"])
    with pytest.raises(MisfitError, match="set speaker_width"):
        vocoder(speaker_width=8).keep_voices(["a"], torch.zeros(1, 9))
    with pytest.raises(MisfitError, match="one voice"):
        vocoder().keep_voices(["a"])
    with pytest.raises(MisfitError, match="one voice"):
        vocoder().voice("a")
    with pytest.raises(OptionsError, match="not both"):
        vocoder(speakers=2, speaker_width=8)
    with pytest.raises(OptionsError, match="voices to choose from"):
        vocoder(voice="anna")


def recipe(folder: Path, vocoder: dict[str, Any], **stages: dict[str, Any]) -> Path:
    values = {
        "name": "voices",
        "parts": {
            "corpus": {"part": "manifest", "manifest": "m.jsonl"},
            "tokenizer": {"part": "encodec", "kbps": 1.5},
            "units": {"kind": "tokenizer", "part": "mel-km", "clusters": 8},
            "vocoder": {**SMALL, **vocoder},
            "baseline": {"kind": "vocoder", "part": "griffin-lim"},
            "voices": {"kind": "speaker-encoder", "part": "resemblyzer"},
            "judge": {"kind": "transcriber", "part": "ctc"},
        },
        "stages": {
            "prepare": {"stage": "prepare"},
            "tokenize": {"stage": "tokenize", "slots": {"tokenizer": "units"}},
            **stages,
        },
    }
    path = folder / "voices.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


TRAIN = {"stage": "train-vocoder"}
HEARS = {**TRAIN, "voices": "voices"}
COMPARE = {"stage": "compare-vocoders", "needs": ["tokenize"]}
DECODES = {"vocoder": "tokenizer", "baseline": "tokenizer"}
COMBINATIONS = [
    ({}, {"train": TRAIN}, None),
    ({"speakers": 3}, {"train": TRAIN, "compare": COMPARE}, None),
    ({"speaker_width": 256}, {"train": HEARS}, None),
    ({"speaker_width": 256}, {"train": TRAIN}, "name the slot of a speaker encoder"),
    ({}, {"train": HEARS}, "set speaker_width, or leave out"),
    ({"speakers": 3}, {"train": HEARS}, "set speaker_width, or leave out"),
    ({"speaker_width": 256}, {"compare": COMPARE}, "a `voice` of its own"),
    ({"speaker_width": 256, "voice": "a"}, {"compare": COMPARE}, None),
    ({}, {"compare": {**COMPARE, "slots": DECODES}}, None),
    ({}, {"compare": {**COMPARE, "slots": {"vocoder": "units"}}}, "does not decode by itself"),
    ({}, {"compare": {**COMPARE, "slots": {"vocoder": "judge"}}}, "needs a vocoder, and gets"),
    ({}, {"train": {**TRAIN, "slots": {"vocoder": "tokenizer"}}}, "makes a vocoder, which"),
]


@pytest.mark.parametrize(("vocoder", "stages", "refused"), COMBINATIONS)
def test_what_does_not_fit_is_refused_before_any_work(
    vocoder: dict[str, Any], stages: dict[str, Any], refused: str | None, tmp_path: Path
) -> None:
    path = recipe(tmp_path, vocoder, **stages)
    if refused is None:
        slmkit.run(path, dry_run=True)
        return
    with pytest.raises(MisfitError, match=refused) as error:
        slmkit.run(path, dry_run=True)
    assert "\n" not in str(error.value)


class Deep:
    """A speaker encoder that hears how loud it is."""

    sample_rate, width = 16000, 2

    def embed(self, wav: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        level = wav.square().mean(dim=1).sqrt()
        return torch.nn.functional.normalize(torch.stack([level, 0.1 - level], dim=1), dim=1)


def test_a_voice_is_told_as_the_vocoder_takes_it() -> None:
    from slmkit_stages.voices import likenesses, strangers, told

    utterances = [Utterance(f"u{i}", speaker=s) for i, s in enumerate("abca")]
    vectors = {f"u{i}": np.eye(4, dtype=np.float32)[i] for i in range(4)}
    heard = vocoder(speaker_width=4)
    shown = [int(voice.argmax()) for voice in told(heard, utterances, vectors)]
    assert shown == [3, 1, 2, 0], "by another utterance where there is one"
    table = vocoder(speakers=3)
    table.keep_voices(["a", "b", "c"])
    assert [v.tolist() for v in told(table, utterances, {})] == [[0], [1], [2], [0]]
    assert told(vocoder(), utterances, vectors) == [None] * 4
    loud = np.full(1600, 0.09, dtype=np.float32)
    own = {"u0": Deep().embed(torch.from_numpy(loud)[None], torch.tensor([1600]))[0].numpy()}
    (alike,) = likenesses([loud], utterances[:1], own, Deep())
    (unlike,) = likenesses([loud / 9], utterances[:1], own, Deep())
    assert alike == pytest.approx(1.0, abs=1e-5)
    assert unlike < 0.9
    assert list(strangers(utterances, vectors)) == [0.0] * 4


def test_a_person_asks_by_name_number_or_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speaking, "build", lambda kind, name, options: Deep())
    table, heard = vocoder(speakers=3), vocoder(speaker_width=2)
    table.keep_voices(["anna", "ben"])
    heard.keep_voices(["anna"], torch.eye(2)[:1], {"part": "deep"})
    file = tmp_path / "voice.wav"
    write_audio(file, np.full(1600, 0.05, dtype=np.float32), 16000)
    codes = Codes.pad([torch.arange(6)[None], torch.arange(4)[None]], SPEC)
    for part, asked in ((table, "ben"), (table, "2"), (heard, "anna"), (heard, str(file))):
        voice = speaking.voice_of(part, asked)
        waves = speaking.Voice(part, voice).speak(codes)
        wanted, _ = part.synthesize(codes, voice.expand(2, *voice.shape))
        assert np.array_equal(waves[0], wanted[0].numpy())
    assert speaking.voice_of(table, None) is None
    with pytest.raises(MisfitError, match="hears no voices"):
        speaking.voice_of(table, str(file))
    with pytest.raises(MisfitError, match="voice of its codes"):
        speaking.voice_of(build("tokenizer", "encodec"), "anna")


def test_a_stage_gets_a_decoder_as_its_vocoder(tmp_path: Path) -> None:
    path = recipe(tmp_path, {}, compare={**COMPARE, "slots": DECODES})
    resolved = resolve(path)
    folders = dict.fromkeys(resolved.stages, tmp_path)
    context = Context(resolved, resolved.stages["compare"], tmp_path, folders, default_watch())
    part = context.part("vocoder")
    assert isinstance(part, DecodingVocoder)
    assert part.spec.codebooks == 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", [{"num_speakers": 2}, {"embedder_dim": 4}])
def test_the_voice_is_learnt_beside_the_units(kind: dict[str, int], tmp_path: Path) -> None:
    """The same units in a deep and in a high voice: only the voice can tell which is due."""
    torch.manual_seed(0)
    draw, time, every = np.random.default_rng(0), np.arange(20 * 320) / 16000, []
    for number in range(8):
        high = number % 2
        units = draw.integers(0, 20, 20)
        wave = 0.3 * np.sin(2 * np.pi * (1500 if high else 300) * time)
        vector = np.eye(4, dtype=np.float32)[high] + 0.1 * draw.normal(size=4)
        voice = "ab"[high], vector.astype(np.float32)
        every.append(Spoken(units, np.ones(20, np.int64), wave.astype(np.float32), *voice))
    generator = UnitHifiGan(sizes(**kind))
    training = VocoderTraining(steps=120, lr=5e-3, batch=4, frames=8, timed=2)
    fit_unit_vocoder(generator, 16000, every, training, Place(tmp_path))
    right, wrong = (
        torch.tensor(rows) if "num_speakers" in kind else torch.eye(4)[rows]
        for rows in ([0, 1], [1, 0])
    )
    units = torch.from_numpy(np.stack([one.units for one in every[:2]]))
    waves = torch.from_numpy(np.stack([one.wav for one in every[:2]]))
    spectral = SpectralLoss(16000)
    with torch.inference_mode():
        mel, other = (float(spectral(generator.eval()(units, s), waves)[0]) for s in (right, wrong))
    assert mel < 0.6 * other, f"{mel:.2f} in the right voice, {other:.2f} in the wrong one"


def test_the_rate_falls_after_each_epoch_where_it_is_asked_to(tmp_path: Path) -> None:
    every, rates = spoken(["a"] * 8), []

    class Watched(VocoderLearner):
        def _descend(self, optimizer: Any, loss: torch.Tensor) -> None:
            super()._descend(optimizer, loss)
            rates.append(optimizer.param_groups[0]["lr"])

    training = VocoderTraining(steps=6, lr=1e-3, batch=4, frames=4, timed=2, decay=0.5)
    crops = CropsOfSteps(every, 320, training, 0)
    learner = Watched(UnitHifiGan(sizes()), 16000, training, len(crops.spoken) // 4)
    trainer = make_trainer(Place(tmp_path), max_steps=6)
    trainer.fit(learner, DataLoader(crops, batch_size=None))
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4, 2.5e-4])
