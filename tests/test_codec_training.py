"""The laws of training a codec: what a step does, repetition, breaks, silence and clipping."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_recordings import RATE, TINY, Context, recordings

from slmkit.api import DataError, MisfitError, Utterance
from slmkit.codecs.codec import SeanetCodec
from slmkit.codecs.convolution import Convolution, Upsampling
from slmkit.codecs.seanet import SeanetSizes
from slmkit.codecs.starting import scale_layers
from slmkit.host import build
from slmkit.training.codec import CodecLearner, fit_codec
from slmkit.training.codec_options import CodecTraining
from slmkit.training.crops import Crops, CropsOfSteps, Cutting

STILL = {"noise": 0.0, "reverberation": 0.0, "speed": 0.0}
CUTTING = Cutting(4, 3, 3200, RATE, None, STILL, seed=0)
SHORT = CodecTraining(
    steps=6, batch=3, crop=0.2, warmup=2, windows=[256], adversary_start=0.5, ema=0.9
)


@pytest.fixture(scope="module")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    return recordings(tmp_path_factory.mktemp("sound"))


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


def test_the_first_codebook_cannot_own_all_of_a_latent(
    utterances: list[Utterance], tmp_path: Path
) -> None:
    with pytest.raises(MisfitError, match="latents are 12 wide, and the other codebooks need"):
        learnt(utterances, tmp_path, replace(SHORT, own=12))


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
