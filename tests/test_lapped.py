"""A codec that starts as a lapped transform: what it gives back, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_recordings import RATE, Context, recordings

from slmkit.api import MisfitError, Utterance
from slmkit.codecs.codec import SeanetCodec
from slmkit.codecs.lapped import start_lapped, transform
from slmkit.codecs.seanet import SeanetSizes
from slmkit.training.codec import begin, fit_codec
from slmkit.training.codec_options import CodecTraining
from slmkit.training.crops import CropsOfSteps, Cutting

STILL = {"noise": 0.0, "reverberation": 0.0, "speed": 0.0}
SIZES = SeanetSizes(filters=8, width=32, lstm_layers=0, ratios=(4, 5, 2), causal=False)


@pytest.fixture(scope="module")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    return recordings(tmp_path_factory.mktemp("sound"))


def left_out(copy: torch.Tensor, wav: torch.Tensor) -> float:
    """The error's energy as a share of the wave's."""
    return float((copy - wav).square().mean() / wav.square().mean())


def crops(utterances: list[Utterance], seed: int = 0) -> CropsOfSteps:
    return CropsOfSteps(utterances, Cutting(50, 3, 8000, RATE, None, STILL, seed))


@pytest.mark.parametrize("lapped", [True, False])
def test_the_transform_gives_everything_back(lapped: bool) -> None:
    hop = 12
    waves = transform(hop, hop, lapped)
    sound = torch.randn(1, 20 * hop)
    frames = sound.unfold(1, len(waves), hop)[0] @ waves
    back = torch.zeros(20 * hop)
    for at, frame in enumerate(frames @ waves.T):
        back[at * hop : at * hop + len(waves)] += frame
    # where frames lap, the first and the last half frame have one alone
    inner = slice(hop, -hop)
    torch.testing.assert_close(back[inner], sound[0, inner], atol=1e-5, rtol=0)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("ratios", [(4, 5, 2), (5, 4, 3)])
def test_an_untrained_codec_gives_unheard_sound_back(
    utterances: list[Utterance], causal: bool, ratios: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    sizes = SeanetSizes(filters=8, width=32, lstm_layers=0, ratios=ratios, causal=causal)
    codec = SeanetCodec(sizes, 2, 16, RATE)
    length = 100 * sizes.hop_length
    heard, unheard = (
        crops(utterances, seed)[0].wav[:, None, :length].detach() for seed in range(2)
    )
    with torch.no_grad():
        before = left_out(codec.decoder(codec.encoder(unheard)), unheard)
        start_lapped(codec, heard)
        after = left_out(codec.decoder(codec.encoder(unheard)), unheard)
    assert before > 0.8
    assert after < 0.12


def test_codebooks_start_from_many_steps(utterances: list[Utterance]) -> None:
    torch.manual_seed(0)
    codec = SeanetCodec(SIZES, 3, 32, RATE).train()
    given = crops(utterances)
    begin(codec, given, "lapped")
    quantizer = codec.quantizer
    assert bool(quantizer.ready.all())
    frames = 3 * 8000 / SIZES.hop_length
    torch.testing.assert_close(quantizer.counts.sum(dim=1), torch.full((3,), frames))
    torch.testing.assert_close(quantizer.sums, quantizer.entries * quantizer.counts[..., None])
    codec.eval()
    wav = given[40].wav[:, None]
    with torch.no_grad():
        latents = codec.encoder(wav)
        errors = [
            float((quantizer.decode(quantizer.encode(latents, books)) - latents).square().mean())
            for books in (1, 2, 3)
        ]
        copy = codec.decoder(quantizer.decode(quantizer.encode(latents)))
    assert errors[0] > errors[1] > errors[2]
    assert left_out(copy, wav) < 0.5


def test_what_is_the_first_codebooks_own_is_not_laid(utterances: list[Utterance]) -> None:
    """The transform lies in the other latents; its own are as loud, and none of them is carried."""
    torch.manual_seed(0)
    codec = SeanetCodec(replace(SIZES, width=SIZES.width + 6), 3, 32, RATE)
    codec.quantizer.own = 6
    wav = crops(utterances)[0].wav[:, None]
    with torch.no_grad():
        start_lapped(codec, wav)
        latents = codec.encoder(wav)
        assert left_out(codec.decoder(latents), wav) < 0.12
        latents[:, -6:] = 0.0
        assert left_out(codec.decoder(latents), wav) < 0.2
        assert 0.5 < float(codec.encoder(wav)[:, -6:].std()) < 2.0


def test_a_lapped_start_trains(utterances: list[Utterance], tmp_path: Path) -> None:
    """Under weight norm, which has no direction for weights of nothing."""
    torch.manual_seed(0)
    codec = SeanetCodec(SIZES, 2, 16, RATE)
    training = CodecTraining(
        steps=4, batch=2, crop=0.25, warmup=1, lr=1e-4, start="lapped", windows=[], ema=0.0
    )
    fit_codec(codec, utterances, utterances[:2], training, None, Context(tmp_path))
    assert all(bool(p.isfinite().all()) for p in codec.parameters())
    wav = crops(utterances)[0].wav[:, None]
    with torch.no_grad():
        assert left_out(codec.decoder(codec.encoder(wav)), wav) < 0.3


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"lstm_layers": 1}, "without LSTM"),
        ({"snake": True}, "ELU"),
        ({"channels": 2}, "one channel"),
        ({"filters": 2}, r"carries \[1, 2, 10\] channels .* \[2, 4, 8\]; give more filters"),
    ],
)
def test_a_network_that_cannot_carry_it_is_refused(changed: dict[str, object], said: str) -> None:
    given = {"filters": 8, "width": 32, "lstm_layers": 0, "ratios": (4, 5, 2), **changed}
    codec = SeanetCodec(SeanetSizes(**given), 2, 16, RATE)  # type: ignore[arg-type]
    with pytest.raises(MisfitError, match=said):
        start_lapped(codec, torch.randn(1, 1, 8000))
