"""What codecs learn by: mel losses, adversaries, the balancer, distillation; each against an
independent computation."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from slmkit.api import Codes, CodeSpec, FeatureSpec, MisfitError, Teacher, Tokenizer
from slmkit.codecs.adversaries import GAMES, Adversaries
from slmkit.codecs.discriminators import Judgement
from slmkit.codecs.mel import mel_filters
from slmkit.codecs.mel_loss import ENCODEC, MELS, SPEECHTOKENIZER, MelTerm, MultiScaleMel
from slmkit.codecs.stft_discriminator import StftDiscriminator, StftDiscriminators
from slmkit.training.balancer import Balancer
from slmkit.training.distillation import in_step, lesson_of, over_time

RATE = 16000


def sounds(seed: int = 0, rows: int = 2, samples: int = 4000) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, samples, generator=generator) * 0.1


# mel


def htk_filters(n_fft: int, bands: int) -> np.ndarray:
    """Filters [m, f] one bin at a time: HTK's scale, unit area."""
    nats = np.linspace(0, np.log1p(8000 / 700), bands + 2)
    hz = 700 * np.expm1(nats)
    found = np.zeros((bands, n_fft // 2 + 1))
    for m in range(bands):
        low, middle, high = hz[m : m + 3]
        for f in range(n_fft // 2 + 1):
            at = f * RATE / n_fft
            rise, fall = (at - low) / (middle - low), (high - at) / (high - middle)
            found[m, f] = max(0.0, min(rise, fall)) * 2 / (high - low)
    return found


def numpy_mel(wav: np.ndarray, term: MelTerm) -> np.ndarray:
    """Mel magnitudes [m, t] of a wave, a frame at a time."""
    beside = (term.window - term.hop) // 2
    padded = np.pad(wav, beside, mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(term.window) / term.window)
    starts = range(0, len(padded) - term.window + 1, term.hop)
    spectra = [np.abs(np.fft.rfft(padded[s : s + term.window] * hann)) for s in starts]
    return htk_filters(term.window, term.mels) @ np.stack(spectra, axis=1)


@pytest.mark.parametrize("name", MELS)
def test_mel_losses_are_what_their_terms_say(name: str) -> None:
    made, true = sounds(1), sounds(2)
    due = 0.0
    for term in MELS[name]:
        ours, theirs = (
            np.stack([numpy_mel(row, term) for row in wav.double().numpy()]) for wav in (made, true)
        )
        logs = np.log(np.maximum(ours, 1e-5)) - np.log(np.maximum(theirs, 1e-5))
        due += term.linear * np.abs(ours - theirs).mean()
        due += term.log * np.abs(logs).mean() + term.square * np.square(logs).mean()
    found = float(MultiScaleMel(RATE, MELS[name])(made, true))
    assert found == pytest.approx(due, rel=1e-3)


def test_the_published_windows_are_there() -> None:
    assert [(t.window, t.hop, t.mels, t.log) for t in SPEECHTOKENIZER] == [
        (1024, 240, 80, 45.0),
        (512, 120, 80, 1.0),
        (256, 60, 80, 1.0),
        (128, 30, 80, 1.0),
    ]
    assert [t.window for t in ENCODEC] == [64, 128, 256, 512, 1024, 2048]
    assert all(t.hop == t.window // 4 and t.linear > 0 and t.square > 0 for t in ENCODEC)


def test_htk_and_slaney_scales_differ() -> None:
    ours = mel_filters(RATE, 512, 40, htk=True).double().numpy()
    np.testing.assert_allclose(ours, htk_filters(512, 40), atol=1e-6)
    assert np.abs(ours - mel_filters(RATE, 512, 40).numpy()).max() > 1e-3


@pytest.mark.parametrize("name", MELS)
@pytest.mark.parametrize("wav", [torch.zeros(2, 4000), torch.ones(2, 4000), sounds(3) * 1e4])
def test_silence_and_clipping_have_gradients(name: str, wav: Tensor) -> None:
    made = torch.zeros(2, 4000).requires_grad_()
    MultiScaleMel(RATE, MELS[name])(made, wav).backward()
    assert made.grad is not None
    assert bool(made.grad.isfinite().all())


# adversaries


def test_stft_discriminators_see_frames_and_bins() -> None:
    for window in (2048, 512, 128):
        judge = StftDiscriminator(window, filters=4)
        wav = sounds(samples=8000)
        judged = judge(wav)
        frames, bins = (8000 - window) // (window // 4) + 1, window // 2 + 1
        sizes = [bins]
        for _ in range(3):
            sizes.append((sizes[-1] - 1) // 2 + 1)
        due = [(2, 4, frames, size) for size in [*sizes, sizes[-1]]]
        assert [tuple(feature.shape) for feature in judged.features] == due
        assert judged.scores.shape == (2, frames * sizes[-1])


def test_a_score_hears_as_far_as_its_layers_reach() -> None:
    """1 + (1 + 1 + 2 + 4) + 1 + 1 frames to either side, and no further."""
    window, hop = 128, 32
    judge = StftDiscriminator(window, filters=3)
    wav = sounds(rows=1, samples=hop * 60 + window - hop).requires_grad_()
    scores = judge(wav).scores.unflatten(1, (60, -1))
    scores[0, 30].sum().backward()
    assert wav.grad is not None
    heard = wav.grad[0].nonzero().flatten()
    reach = 1 + (1 + 2 + 4) + 1 + 1
    first, last = (30 - reach) * hop, (30 + reach) * hop + window - 1
    # the window itself begins with a zero
    assert first <= int(heard.min()) <= first + 1
    assert last - 1 <= int(heard.max()) <= last


class Spectrogram(nn.Module):
    """What the package asks of torchaudio: an uncentred complex spectrogram of unit energy."""

    def __init__(self, n_fft: int, hop_length: int, **_: Any) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop_length

    def forward(self, wav: Tensor) -> Tensor:
        window = torch.hann_window(self.n_fft)
        rows = wav.flatten(0, 1)
        flat = torch.stft(
            rows, self.n_fft, self.hop, window=window, center=False, return_complex=True
        )
        return (flat / window.square().sum().sqrt())[:, None]


def test_the_package_judges_alike(encodec: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = ModuleType("torchaudio")
    stand_in.transforms = ModuleType("torchaudio.transforms")  # type: ignore[attr-defined]
    stand_in.transforms.Spectrogram = Spectrogram  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchaudio", stand_in)
    package = importlib.import_module("encodec.msstftd")
    windows = [1024, 512, 128]
    theirs = package.MultiScaleSTFTDiscriminator(
        filters=6, n_ffts=windows, win_lengths=windows, hop_lengths=[w // 4 for w in windows]
    )
    ours = StftDiscriminators(windows, filters=6)
    mine = [conv for scale in ours.scales for conv in [*scale.convs, scale.conv_post]]
    for scale, other in enumerate(theirs.discriminators):
        layers = [*other.convs, other.conv_post]
        for conv, layer in zip(mine[scale * len(layers) :], layers, strict=False):
            conv.weight = layer.conv.weight.detach()
            conv.bias.data.copy_(layer.conv.bias)
    wav = sounds(rows=2, samples=6000)
    scores, features = theirs(wav[:, None])
    for judged, score, layers in zip(ours(wav), scores, features, strict=True):
        torch.testing.assert_close(judged.scores, score.flatten(1), atol=1e-5, rtol=1e-4)
        for found, due in zip(judged.features, layers, strict=True):
            torch.testing.assert_close(found, due, atol=1e-5, rtol=1e-4)


def test_true_and_made_in_one_pass_are_judged_as_apart() -> None:
    torch.manual_seed(0)
    judges = Adversaries(periods=[2, 3], scales=2, windows=[256], width=1 / 16).eval()
    assert len(judges) == 5
    true, made = sounds(1), sounds(2)
    pairs = judges.compare(true, made)
    for found, wav in zip(pairs, (true, made), strict=True):
        for one, due in zip(found, judges(wav), strict=True):
            torch.testing.assert_close(one.scores, due.scores, atol=1e-5, rtol=1e-4)
            assert len(one.features) == len(due.features)


def test_width_1_is_the_published_one() -> None:
    judges = Adversaries(periods=[2], scales=1, windows=[512])
    assert judges.waves.mpd[0].conv_post.weight.shape == (1, 1024, 3, 1)
    assert judges.waves.msd[0].conv_post.weight.shape == (1, 1024, 3)
    assert judges.spectra.scales[0].convs[0].weight.shape == (32, 2, 3, 9)


def judged(*scores: float) -> list[Judgement]:
    return [Judgement(torch.tensor([[s, s / 2]]), []) for s in scores]


@pytest.mark.parametrize(("game", "disc", "gen"), [
    ("lsgan", lambda t, m: np.square(1 - t).mean() + np.square(m).mean(),
     lambda m: np.square(1 - m).mean()),
    ("hinge", lambda t, m: np.maximum(0, 1 - t).mean() + np.maximum(0, 1 + m).mean(),
     lambda m: -m.mean()),
])  # fmt: skip
def test_both_games_are_as_published(game: str, disc: Any, gen: Any) -> None:
    true, made = judged(0.4, 1.7), judged(-1.3, 0.2)
    rows = [(t.scores.numpy(), m.scores.numpy()) for t, m in zip(true, made, strict=True)]
    found = float(GAMES[game].discriminator(true, made))
    assert found == pytest.approx(sum(disc(*row) for row in rows))
    assert float(GAMES[game].generator(made)) == pytest.approx(sum(gen(m) for _, m in rows))


# balancer


def test_the_balancer_is_a_hand_computation() -> None:
    balancer = Balancer({"a": 1.0, "b": 3.0}, decay=0.9)
    draw = np.random.default_rng(0)
    averages: dict[str, tuple[float, float]] = {"a": (0.0, 0.0), "b": (0.0, 0.0)}
    for _ in range(5):
        given = {"a": draw.normal(size=(2, 8)), "b": 100 * draw.normal(size=(2, 8))}
        found = balancer({name: torch.from_numpy(g).float() for name, g in given.items()})
        due = np.zeros((2, 8))
        for name, share in (("a", 0.25), ("b", 0.75)):
            norm = np.mean([np.sqrt((row**2).sum()) for row in given[name]])
            total, weight = averages[name]
            averages[name] = total * 0.9 + norm, weight * 0.9 + 1
            due += share * given[name] / (averages[name][0] / averages[name][1])
        np.testing.assert_allclose(found.numpy(), due, rtol=1e-5, atol=1e-6)


def test_the_balancer_knows_no_scale_and_shares_among_those_present() -> None:
    a, b = sounds(1), sounds(2)
    one, other = Balancer({"a": 1, "b": 1}), Balancer({"a": 1, "b": 1})
    torch.testing.assert_close(one({"a": a, "b": b}), other({"a": a * 1e-4, "b": b * 1e4}))
    alone = Balancer({"a": 1, "b": 9})({"a": a})
    rows = torch.linalg.vector_norm(alone, dim=1)
    assert float(rows.mean()) == pytest.approx(1.0, rel=1e-5)
    silent = Balancer({"a": 1})({"a": torch.zeros(2, 5)})
    assert not silent.any()


def test_the_balancer_goes_on_from_its_state() -> None:
    one, other = Balancer({"a": 1.0}), Balancer({"a": 1.0})
    one({"a": sounds(1)})
    other.load_state_dict(one.state_dict())
    assert torch.equal(one({"a": sounds(2)}), other({"a": sounds(2)}))


# distillation


def test_distillation_is_the_published_formula() -> None:
    draw = np.random.default_rng(0)
    student, teacher = draw.normal(size=(3, 12, 5)), draw.normal(size=(3, 10, 5))
    losses = []
    for b in range(3):
        for d in range(5):
            u, v = student[b, :10, d], teacher[b, :, d]
            cosine = u @ v / np.sqrt(u @ u) / np.sqrt(v @ v)
            losses.append(np.log1p(np.exp(-cosine)))
    found = float(over_time(torch.from_numpy(student), torch.from_numpy(teacher)))
    assert found == pytest.approx(np.mean(losses), rel=1e-6)


def test_time_must_be_in_order() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(4, 60, 8, generator=generator)
    student = features + 0.3 * torch.randn(features.shape, generator=generator)
    shuffled = features[:, torch.randperm(60, generator=generator)]
    assert float(over_time(student, features)) < 0.36
    assert float(over_time(student, shuffled)) > 0.6


def test_silent_latents_have_gradients() -> None:
    student = torch.zeros(2, 9, 4).requires_grad_()
    over_time(student, torch.zeros(2, 9, 4)).backward()
    assert student.grad is not None
    assert bool(student.grad.isfinite().all())


def test_other_rates_are_read_between_frames() -> None:
    ramp = torch.arange(20.0)[None, :, None].repeat(1, 1, 2)
    assert in_step(ramp, 1.0) is ramp
    double = in_step(ramp, 2.0)
    assert double.shape == (1, 40, 2)
    # the middle of frame i of twice as many lies at (i + 0.5) / 2 - 0.5
    torch.testing.assert_close(double[0, 1:-1, 0], (torch.arange(1.0, 39.0) + 0.5) / 2 - 0.5)
    torch.testing.assert_close(in_step(ramp, 0.5)[0, :, 0], torch.arange(10.0) * 2 + 0.5)


class Loudness(Teacher, Tokenizer):
    """Teaches how loud each frame of 10 ms is, more or less; its units say whether it is loud."""

    feature_spec = FeatureSpec(RATE, 160, 3)
    spec = CodeSpec(RATE, 160, (2,))

    def represent(self, wav: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        frames = wav.unfold(1, 160, 160).square().mean(dim=2).sqrt() - 0.25
        return frames[:, :, None] * torch.tensor([1.0, 2.0, -1.0]), lengths // 160

    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        loud = self.represent(wav, lengths)[0][:, :, 0] > 0
        return Codes(loud.long()[:, None], lengths // 160, self.spec)


def swelling(rows: int = 2) -> Tensor:
    """Noise that is loud in every other 40 ms."""
    gate = (torch.arange(16000) // 640 % 2 == 0).float() * 0.4 + 0.05
    return sounds(5, rows, 16000) * 10 * gate


@pytest.mark.parametrize("kind", ["features", "units"])
def test_what_a_teacher_says_can_be_learnt(kind: str) -> None:
    """Latents [b, d, t] at 50 Hz learn of a teacher at 100 Hz; its control hears another sound."""
    torch.manual_seed(0)
    wav, other = swelling(), sounds(7, 2, 16000)
    lesson = lesson_of(Loudness(), kind, 4, 50.0)
    loud = swelling().unfold(1, 320, 320).square().mean(dim=2).sqrt()
    latents = torch.stack([loud, -loud, loud**2, torch.ones_like(loud)], dim=1)
    optimizer = torch.optim.Adam(lesson.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        lesson(latents, wav).backward()
        optimizer.step()
    with torch.no_grad():
        learnt, control = float(lesson(latents, wav)), float(lesson(latents, other))
    best = float(np.log1p(np.exp(-1.0))) if kind == "features" else 0.0
    assert learnt < best + 0.1
    assert control > learnt + 0.15


def test_teachers_of_equal_width_need_no_map() -> None:
    assert isinstance(lesson_of(Loudness(), "features", 3, 50.0).transform, nn.Identity)
    assert lesson_of(Loudness(), "features", 4, 50.0).transform.weight.shape == (3, 4)


def test_who_teaches_nothing_is_refused() -> None:
    with pytest.raises(MisfitError, match="gives no features"):
        lesson_of(nn.Linear(2, 2), "features", 4, 50.0)
    with pytest.raises(MisfitError, match="gives no units"):
        lesson_of(nn.Linear(2, 2), "units", 4, 50.0)
    several = Loudness()
    several.spec = CodeSpec(RATE, 160, (2, 2))
    with pytest.raises(MisfitError, match="2 codebooks"):
        lesson_of(several, "units", 4, 50.0)


def test_no_checkpoint_holds_the_teacher() -> None:
    class Heavy(nn.Linear, Loudness):
        pass

    lesson = lesson_of(Heavy(3, 3), "features", 4, 50.0)
    assert set(lesson.state_dict()) == {"transform.weight", "transform.bias"}
    assert not any(p.requires_grad for p in lesson.teacher.parameters())
