"""Training a codec: crops, augmentation, the laws of training, silence and clipping, the stage."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import slmkit
from slmkit.api import DataError, MisfitError, OptionsError, Utterance
from slmkit.codecs.codec import SeanetCodec
from slmkit.codecs.convolution import Convolution, Upsampling
from slmkit.codecs.seanet import SeanetSizes
from slmkit.codecs.starting import scale_layers
from slmkit.host import build, load_part
from slmkit.testing import check_part
from slmkit.training.codec import CodecLearner, fit_codec
from slmkit.training.codec_options import CodecTraining
from slmkit.training.crops import Crops, CropsOfSteps, Cutting
from slmkit.training.wave_augment import add_noise, respeed, reverberate

RATE = 16000
STILL = {"noise": 0.0, "reverberation": 0.0, "speed": 0.0}
CUTTING = Cutting(4, 3, 3200, RATE, None, STILL, seed=0)
TINY: dict[str, Any] = {"filters": 4, "width": 12, "entries": 16, "lstm_layers": 0}
SHORT = CodecTraining(
    steps=6, batch=3, crop=0.2, warmup=2, windows=[256], adversary_start=0.5, ema=0.9
)


class Context:
    """A stage's context with nothing around it."""

    seed = 0

    def __init__(self, folder: Path, **trainer: Any) -> None:
        self.folder, self.trainer = folder, trainer

    @contextmanager
    def progress(self, text: str, total: int | None = None) -> Iterator[Any]:
        yield lambda *_, **__: None


@pytest.fixture(scope="module")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    """Swelling tones of a second and more, by four voices; two of one."""
    folder = tmp_path_factory.mktemp("sound")
    found = []
    for number, speaker in enumerate("aabcd"):
        count = RATE + 2000 * number
        time = np.arange(count) / RATE
        wav = 0.3 * np.sin(2 * np.pi * (150 + 60 * number) * time) * np.sin(9 * time)
        wav += 0.01 * np.random.default_rng(number).standard_normal(count)
        path = folder / f"{number}.flac"
        soundfile.write(path, wav, RATE)
        found.append(Utterance(id=f"u{number}", audio=path, speaker=speaker))
    return found


def tiny(**options: Any) -> Any:
    return build("tokenizer", "speechtokenizer", {**TINY, **options})


def learnt(
    utterances: list[Utterance], folder: Path, training: CodecTraining = SHORT, **trainer: Any
) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    tokenizer = tiny()
    fit_codec(
        tokenizer.codec, utterances, utterances[:2], training, None, Context(folder, **trainer)
    )
    return tokenizer.state_dict()


# crops


def test_crops_follow_from_the_seed_and_the_step(utterances: list[Utterance]) -> None:
    one, other = CropsOfSteps(utterances, CUTTING), CropsOfSteps(utterances[::-1], CUTTING)
    for step in (0, 3):
        assert torch.equal(one[step].wav, CropsOfSteps(utterances, CUTTING)[step].wav)
    assert not torch.equal(one[0].wav, one[1].wav)
    assert not torch.equal(one[0].wav, CropsOfSteps(utterances, replace(CUTTING, seed=1))[0].wav)
    assert set(one[0].ids) <= {u.id for u in utterances}
    assert len(one) == len(other) == 4


def test_a_crop_is_a_stretch_of_its_file(utterances: list[Utterance]) -> None:
    batch = CropsOfSteps(utterances, CUTTING)[1]
    assert batch.wav.shape == batch.heard.shape == (3, 3200)
    assert torch.equal(batch.wav, batch.heard)
    for wav, name in zip(batch.wav.numpy(), batch.ids, strict=True):
        whole, _ = soundfile.read(utterances[int(name[1:])].audio, dtype="float32")
        windows = np.lib.stride_tricks.sliding_window_view(whole, 3200)
        assert np.abs(windows - wav).max(axis=1).min() == 0


def test_a_batch_takes_each_speaker_once(utterances: list[Utterance]) -> None:
    speakers = {u.id: u.speaker for u in utterances}
    every = set()
    for step in range(12):
        batch = CropsOfSteps(utterances, replace(CUTTING, batch=4, steps=12))[step]
        assert sorted(speakers[name] for name in batch.ids) == ["a", "b", "c", "d"]
        every |= set(batch.ids)
    assert every == set(speakers)
    many = CropsOfSteps(utterances, replace(CUTTING, batch=8))[0]
    assert sorted(speakers[name] for name in many.ids) == sorted("aabbccdd")


def test_what_is_short_is_filled_and_ranges_are_kept(utterances: list[Utterance]) -> None:
    part = replace(utterances[0], start=0.5, duration=0.1)
    batch = CropsOfSteps([part], replace(CUTTING, batch=1))[0]
    whole, _ = soundfile.read(part.audio, dtype="float32")
    assert np.array_equal(batch.wav[0, :1600], whole[8000:9600])
    assert not batch.wav[0, 1600:].any()


def test_a_teacher_hears_at_its_own_rate(utterances: list[Utterance]) -> None:
    batch = CropsOfSteps(utterances, replace(CUTTING, teacher_rate=8000))[0]
    assert batch.taught is not None
    assert batch.taught.shape == (3, 1600)
    apart = batch.taught - batch.wav[:, ::2]
    assert float(apart[:, 50:-50].abs().max()) < 0.1


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(DataError, match="no utterance has sound"):
        CropsOfSteps([], CUTTING)


# augmentation


def test_the_codec_hears_what_was_made_worse_and_gives_back_what_was_not(
    utterances: list[Utterance],
) -> None:
    plain = CropsOfSteps(utterances, CUTTING)[0]
    worse = replace(CUTTING, augment={"noise": 1.0, "reverberation": 1.0, "speed": 0.0})
    batch = CropsOfSteps(utterances, worse)[0]
    assert torch.equal(batch.wav[0], plain.wav[0])
    assert bool(((batch.heard - batch.wav).abs().amax(dim=1) > 0.001).all())
    again = CropsOfSteps(utterances, worse)[0]
    assert torch.equal(batch.heard, again.heard)


def test_speed_moves_pitch_and_keeps_the_length(utterances: list[Utterance]) -> None:
    time = np.arange(4800) / RATE
    fast = respeed(np.sin(2 * np.pi * 400 * time).astype(np.float32), 1.1, 4000)
    assert len(fast) == 4000
    peak = np.abs(np.fft.rfft(fast * np.hanning(4000))).argmax() * RATE / 4000
    assert peak == pytest.approx(440, abs=4)
    quick = CropsOfSteps(utterances, replace(CUTTING, augment={**STILL, "speed": 1.0}))[0]
    assert torch.equal(quick.wav, quick.heard)
    assert quick.wav.shape == (3, 3200)


def test_noise_and_echoes_are_of_the_size_that_was_drawn() -> None:
    wav = (0.1 * np.sin(np.arange(16000) / 7)).astype(np.float32)
    for seed in range(5):
        noise = add_noise(wav, np.random.default_rng(seed)) - wav
        below = 20 * np.log10(np.std(wav) / np.std(noise))
        assert 4.9 < below < 30.1
    click = np.zeros(16000, dtype=np.float32)
    click[100] = 0.5
    wet = reverberate(click, RATE, np.random.default_rng(0))
    assert not wet[:99].round(4).any()
    assert np.square(wet[100:2100]).sum() > np.square(wet[2100:]).sum()
    for change in (add_noise, lambda w, r: reverberate(w, RATE, r)):
        assert not np.abs(change(np.zeros(800, np.float32), np.random.default_rng(0))).any()


# laws of training


def test_every_layer_begins_with_unit_variance(utterances: list[Utterance]) -> None:
    codec = SeanetCodec(SeanetSizes(filters=4, width=8, lstm_layers=1), 2, 16, RATE)
    wav = CropsOfSteps(utterances, CUTTING)[0].wav[:, None]
    before = float(codec.encoder(wav).detach().std())
    scale_layers(codec, wav)
    deviations: dict[Any, float] = {}
    for layer in codec.modules():
        if isinstance(layer, Convolution | Upsampling):
            layer.register_forward_hook(lambda m, _, y: deviations.update({m: float(y.std())}))
    with torch.no_grad():
        codec.decoder(codec.encoder(wav))
    last = deviations.pop(codec.decoder.last)
    assert last == pytest.approx(float(wav.std()), rel=1e-3)
    assert all(value == pytest.approx(1.0, rel=1e-3) for value in deviations.values())
    assert before < 0.3
    untouched = {name: p.clone() for name, p in codec.named_parameters()}
    scale_layers(codec, torch.zeros(1, 1, 3200))
    assert all(torch.equal(p, untouched[name]) for name, p in codec.named_parameters())


def test_a_training_is_repeated_to_the_bit(utterances: list[Utterance], tmp_path: Path) -> None:
    training = replace(SHORT, book_dropout=1.0, balance=True, augment={"noise": 0.5})
    one = learnt(utterances, tmp_path / "one", training)
    other = learnt(utterances, tmp_path / "other", training)
    assert all(torch.equal(one[name], other[name]) for name in one)
    untrained = tiny().state_dict()
    moved = [name for name in one if not torch.equal(one[name], untrained[name])]
    assert any(name.startswith("codec.decoder") for name in moved)
    assert "codec.quantizer.entries" in moved


def test_a_broken_training_ends_as_an_unbroken_one(
    utterances: list[Utterance], tmp_path: Path
) -> None:
    training = replace(SHORT, book_dropout=1.0, balance=True)
    whole = learnt(utterances, tmp_path / "whole", training)
    # global steps: one each before the adversaries begin, two each after that
    learnt(utterances, tmp_path / "broken", training, max_steps=5)
    broken = learnt(utterances, tmp_path / "broken", training)
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


def test_bfloat16_learns_as_well(utterances: list[Utterance], tmp_path: Path) -> None:
    """Codes are found, and spectra compared, in float32; what is left differs in rounding alone."""
    exact = learnt(utterances, tmp_path / "exact")
    rounded = learnt(utterances, tmp_path / "rounded", precision="bf16-mixed")
    name = "codec.decoder.last.conv.weight"
    assert not torch.equal(exact[name], rounded[name])
    torch.testing.assert_close(exact[name], rounded[name], atol=0.02, rtol=0.05)
    assert all(tensor.dtype == torch.float32 for tensor in rounded.values())


def test_what_is_kept_is_the_average(utterances: list[Utterance], tmp_path: Path) -> None:
    average = learnt(utterances, tmp_path / "average")
    plain = learnt(utterances, tmp_path / "plain", replace(SHORT, ema=0.0))
    name = "codec.decoder.last.conv.weight"
    assert not torch.equal(average[name], plain[name])
    saved = torch.load(tmp_path / "average" / "last.ckpt", weights_only=True)
    kept = saved["callbacks"]["Averaging"]
    assert kept["moves"] == SHORT.steps
    assert all(name.startswith("codec.") for name in kept["average"])


def batch_of(wav: torch.Tensor) -> Crops:
    return Crops(wav, wav, None, tuple(f"row {n}" for n in range(len(wav))))


class Still:
    """As much of a trainer as a step asks for."""

    class fit_loop:  # noqa: N801
        total_batch_idx = 3


def learner(training: CodecTraining) -> CodecLearner:
    torch.manual_seed(0)
    codec = SeanetCodec(SeanetSizes(filters=4, width=12, lstm_layers=0), 3, 16, RATE).train()
    made = CodecLearner(codec, training, None)
    made._trainer = Still()
    optimizers = made.configure_optimizers()
    made.optimizers = lambda: optimizers  # type: ignore[method-assign]
    made.log = made.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
    made.manual_backward = lambda loss, **more: loss.backward(**more)  # type: ignore[method-assign]
    return made


SILENCE = torch.zeros(3, 3200)
CLIPPED = (torch.randn(3, 3200, generator=torch.Generator().manual_seed(0)) * 9).clamp(-1, 1)


@pytest.mark.parametrize("wav", [SILENCE, CLIPPED], ids=["silence", "clipped noise"])
@pytest.mark.parametrize("balance", [False, True])
@pytest.mark.parametrize("game", ["lsgan", "hinge"])
def test_silence_and_clipping_break_nothing(wav: torch.Tensor, balance: bool, game: str) -> None:
    training = replace(SHORT, adversary_start=0.0, balance=balance, adversary_loss=game)
    made = learner(replace(training, periods=[2], adversary_width=1 / 16))
    for step in range(3):
        made.training_step(batch_of(wav), step)
    assert all(bool(value.isfinite().all()) for value in made.state_dict().values())


def test_what_is_no_number_stops_the_training_and_names_the_batch() -> None:
    made = learner(replace(SHORT, adversary_start=0.0))
    made.training_step(batch_of(CLIPPED), 0)
    before = {name: p.clone() for name, p in made.named_parameters()}
    broken = CLIPPED.clone()
    broken[1, 100] = torch.nan
    with pytest.raises(DataError, match=r"step 3: not a finite number: .*: row 0, row 1, row 2;"):
        made.training_step(batch_of(broken), 1)
    assert all(torch.equal(p, before[name]) for name, p in made.named_parameters())


def test_one_pass_teaches_the_adversaries_as_two_would() -> None:
    """Their gradient is that of judging true and made waves apart, and none reaches the codec."""
    made = learner(replace(SHORT, adversary_start=0.0))
    judges = made.adversaries
    assert judges is not None
    batch = batch_of(CLIPPED)
    made.codec.quantizer.ready.fill_(1)
    with torch.no_grad():
        made.codec.eval()
        copy = made._pass(batch.heard, None).copy[:, 0]
    loss = made.game.discriminator(judges(batch.wav), judges(copy))
    due = torch.autograd.grad(loss, list(judges.parameters()))
    for group in (p for optimizer in made.optimizers() for p in optimizer.param_groups):
        group["lr"] = 0.0
    made.training_step(batch, 0)
    for parameter, gradient in zip(judges.parameters(), due, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-5, rtol=1e-3)


def test_a_step_follows_the_plain_gradient() -> None:
    """Through the copy's own gradient the codec gets that of the whole sum of losses."""
    weights = {"wave": 3.0, "mel": 0.5, "commit": 2.0}
    made = learner(replace(SHORT, windows=[], weights=weights))
    made.codec.eval()
    made.codec.quantizer.scatter(torch.randn(2, 12, 9), torch.Generator().manual_seed(0))
    passed = made._pass(CLIPPED, None)
    copy = passed.copy[:, 0]
    loss = 3.0 * (copy - CLIPPED).abs().mean() + 0.5 * made.mel(copy, CLIPPED)
    due = torch.autograd.grad(
        loss + 2.0 * passed.quantized.commitment, list(made.codec.parameters())
    )
    made.training_step(batch_of(CLIPPED), 0)
    for parameter, gradient in zip(made.codec.parameters(), due, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-6, rtol=1e-3)


def test_sounds_and_spectra_are_logged(utterances: list[Utterance], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    learnt(utterances, tmp_path)
    logs = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"mel", "wave", "commit", "adversarial", "feature", "adversaries", "dev_mel"} <= set(
        logs.Tags()["scalars"]
    )
    assert {f"u{n}/{what}" for n in (0, 1) for what in ("copy", "true")} <= set(
        logs.Tags()["images"]
    )


# options


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"weights": {"mels": 1.0}}, "no 'mels'; there are: mel"),
        ({"weights": {"mel": -1.0}}, "below 0"),
        ({"augment": {"noises": 0.5}}, "there are: noise"),
        ({"mel_loss": "large"}, "none of small"),
        ({"adversary_loss": "wgan"}, "none of lsgan, hinge"),
        ({"lesson": "text"}, "none of features, units"),
        ({"adversary_start": 1.5}, "no share"),
        ({"betas": [0.9]}, "two decays"),
        ({"ema": 1.0}, "no decay"),
        ({"batch": 0}, "at least 1"),
    ],
)
def test_options_that_are_none_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CodecTraining(**given)


def test_without_their_losses_there_are_no_adversaries() -> None:
    assert CodecTraining(steps=10).first_game == 1
    assert CodecTraining(steps=10, windows=[]).first_game == 10
    assert CodecTraining(steps=10, weights={"adversarial": 0, "feature": 0}).first_game == 10


# parts


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("speechtokenizer", TINY),
        ("speechtokenizer", {**TINY, "lstm_layers": 1, "ratios": [4, 4]}),
        ("encodec", {**TINY, "variant": "16khz", "books": 3}),
        ("encodec", {**TINY, "variant": "16khz", "lstm_layers": 1, "causal": False}),
    ],
)
def test_small_ones_keep_the_laws(name: str, values: dict[str, Any], tmp_path: Path) -> None:
    check_part("tokenizer", name, tmp_path, values)


def test_the_default_sizes_are_small_enough() -> None:
    """At most 6M parameters, and 12 MB in half precision with the codebooks."""
    from slmkit.recipe.resolve import resolve

    recipes = Path(__file__).parent.parent / "recipes"
    for name in ("speechtokenizer", "encodec"):
        for profile in (None, "recorded"):
            given = ["corpus.manifest=x"] if profile else []
            slot = resolve(recipes / f"{name}.yaml", profile, given).slots["tokenizer"]
            part = slot.shelved.load()(slot.options)
            weights = sum(p.numel() for p in part.parameters())
            assert weights <= 6e6
            assert 2 * (weights + part.codec.quantizer.entries.numel()) <= 12e6
            assert (part.spec.sample_rate, part.spec.frame_rate) == (16000, 50.0)
            assert part.spec.codebooks == 8


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("speechtokenizer", {"filters": 8, "weights": "x.pt"}, "filters: of a model without files"),
        ("speechtokenizer", {"filters": 0}, "at least 1"),
        ("encodec", {"filters": 8}, "filters: of variant=16khz alone"),
        ("encodec", {"variant": "16khz", "weights": "x"}, "no published weights"),
        ("encodec", {"variant": "16khz", "entries": 0}, "at least 1"),
        ("hubert-km", {"teaches": "all"}, "'layer' or 'mean'"),
    ],
)
def test_sizes_that_are_none_are_refused(name: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        build("tokenizer", name, values)


# the stage

RECIPE = """\
name: t
parts:
  corpus: {{part: manifest, manifest: {manifest}}}
  tokenizer: {{part: speechtokenizer, filters: 4, width: 12, entries: 16, lstm_layers: 0}}
  judge: {{kind: transcriber, part: ctc, width: 16, layers: 1}}
  units: {{kind: tokenizer, part: mel-km, clusters: 8}}
stages:
  prepare: {{stage: prepare}}
  codec:
    stage: train-codec
    needs: [prepare]
    teacher: judge
    steps: 4
    batch: 2
    crop: 0.2
    windows: [256]
    adversary_start: 0.5
"""


@pytest.fixture
def recipe(utterances: list[Utterance], tmp_path: Path) -> Path:
    rows = [
        {"id": u.id, "audio": str(u.audio), "speaker": u.speaker, "text": "a",
         "split": "dev" if n == 0 else "train"}
        for n, u in enumerate(utterances)
    ]  # fmt: skip
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "t.yaml"
    path.write_text(RECIPE.format(manifest=tmp_path / "m.jsonl"))
    return path


def test_a_trained_codec_codes_like_any_other(recipe: Path, tmp_path: Path) -> None:
    done = slmkit.run(recipe, output=tmp_path / "run")
    tokenizer = load_part(done.paths["codec"] / "tokenizer")
    wav = torch.sin(torch.arange(RATE) / 9.0)[None] * 0.3
    codes = tokenizer.encode(wav, torch.tensor([RATE]))
    assert codes.values.shape == (1, 8, 50)
    assert tokenizer.decode(codes)[0].shape == (1, RATE)
    saved = torch.load(done.paths["codec"] / "last.ckpt", weights_only=True)
    assert "lesson.transform.weight" in saved["state_dict"]
    assert not any("teacher" in name for name in saved["state_dict"])


def test_units_can_be_the_lesson(recipe: Path, tmp_path: Path) -> None:
    text = recipe.read_text().replace(
        "  codec:\n", "  fit: {stage: fit, slot: units, needs: [prepare]}\n  codec:\n"
    )
    text = text.replace("needs: [prepare]\n    teacher: judge", "needs: [fit]\n    teacher: units")
    recipe.write_text(text + "    lesson: units\n")
    done = slmkit.run(recipe, output=tmp_path / "run")
    saved = torch.load(done.paths["codec"] / "last.ckpt", weights_only=True)
    assert saved["state_dict"]["lesson.project.weight"].shape == (8, 12)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["codec.teacher=units"], "teaches=True, and tokenizer 'mel-km'"),
        (["codec.teacher=tokenizer", "codec.lesson=units"], "codebooks=1, and tokenizer"),
        (["tokenizer={part: mel-km}"], "learns=True, and tokenizer 'mel-km'"),
    ],
)
def test_a_recipe_that_cannot_teach_is_refused_before_any_work(
    recipe: Path, tmp_path: Path, overrides: list[str], message: str
) -> None:
    text = recipe.read_text()
    if overrides[0].startswith("tokenizer="):
        old = "{part: speechtokenizer, filters: 4, width: 12, entries: 16, lstm_layers: 0}"
        recipe.write_text(text.replace(old, "{part: mel-km}"))
        overrides = []
    with pytest.raises(MisfitError, match=message):
        slmkit.run(recipe, overrides=overrides, output=tmp_path / "run")
    assert not (tmp_path / "run" / "stages").exists()


DYING = """\
import os, signal, sys
import slmkit
from slmkit.training import crops, trainer

trainer.CHECKPOINT_EVERY_S = 0.0
real = crops.CropsOfSteps.__getitem__

def dies(self, step):
    if step == 4 and "die" in sys.argv:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, step)

crops.CropsOfSteps.__getitem__ = dies
slmkit.run(sys.argv[1], output=sys.argv[2], overrides=["codec.steps=6"])
"""


@pytest.mark.slow
def test_a_killed_stage_goes_on(recipe: Path, tmp_path: Path) -> None:
    program = tmp_path / "dying.py"
    program.write_text(DYING)

    def start(output: str, *words: str) -> int:
        line = [sys.executable, str(program), str(recipe), str(tmp_path / output), *words]
        return subprocess.run(line, capture_output=True, check=False).returncode

    assert start("whole") == 0
    assert start("broken", "die") == -9
    assert start("broken") == 0
    found = [
        load_part(next((tmp_path / name / "stages").glob("codec-*")) / "tokenizer").state_dict()
        for name in ("whole", "broken")
    ]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_the_twin_recipes_differ_in_the_distillation_alone() -> None:
    import yaml

    folder = Path(__file__).parent.parent / "recipes"
    taught, twin = (
        yaml.safe_load((folder / f"{name}.yaml").read_text())
        for name in ("speechtokenizer", "encodec")
    )
    for path in ((), ("profiles", "recorded"), ("profiles", "smoke")):
        one, other = taught, twin
        for key in path:
            one, other = one[key], other[key]
        assert one["parts"].get("corpus") == other["parts"].get("corpus")
        sizes = {"filters", "width", "lstm_layers", "entries", "ratios"}
        one_sizes, other_sizes = (
            {k: v for k, v in each["parts"].get("tokenizer", {}).items() if k in sizes}
            for each in (one, other)
        )
        assert one_sizes == other_sizes
        own = dict(one["stages"].get("codec", {}))
        for only_taught in ("teacher", "needs"):
            own.pop(only_taught, None)
        weights = {k: v for k, v in own.pop("weights", {}).items() if k != "distill"}
        due = dict(other["stages"].get("codec", {}))
        due.pop("needs", None)
        assert ({**own, "weights": weights} if weights else own) == due
    parts = [
        build("tokenizer", each["parts"]["tokenizer"]["part"],
              {k: v for k, v in each["parts"]["tokenizer"].items() if k != "part"})
        for each in (taught, twin)
    ]  # fmt: skip
    assert parts[0].codec.sizes == parts[1].codec.sizes
