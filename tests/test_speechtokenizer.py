"""The tokenizer `speechtokenizer` against its package, and by itself."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from codec_parity import assert_codes_agree, fill, liven, noise, spoken
from slmkit_reference_codecs.speechtokenizer import PUBLISHED
from torch import Tensor

from slmkit.api import AudioError, Codes, MisfitError, OptionsError, WeightsError
from slmkit.host import build
from slmkit.testing import check_part

SMALL = PUBLISHED | {
    "n_filters": 8,
    "dimension": 64,
    "semantic_dimension": 24,
    "codebook_size": 256,
    # training's, which the published configs hold as well
    "resblock": "1",
    "sampling_rate": 16000,
    "lambda_distill": 0.15,
}
SNAKE = {**SMALL, "activation": "Snake", "semantic_dimension": 64, "n_residual_layers": 2}


def model(package: ModuleType, config: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    # Snake, squaring sines, turns large sounds into chaos
    gain = 1.4 if config["activation"] == "Snake" else 1.8
    return liven(package.SpeechTokenizer(config), noise(4, 1, 16000, 9), gain)


def files(reference: Any, config: dict[str, Any], folder: Path) -> dict[str, str]:
    (folder / "config.json").write_text(json.dumps(config))
    torch.save(reference.state_dict(), folder / "SpeechTokenizer.pt")
    return {"weights": str(folder / "SpeechTokenizer.pt")}


@pytest.fixture(scope="module", params=[SMALL, SNAKE], ids=["elu", "snake"])
def both(
    request: pytest.FixtureRequest,
    speechtokenizer: ModuleType,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Any, dict[str, str]]:
    reference = model(speechtokenizer, request.param)
    return reference, files(reference, request.param, tmp_path_factory.mktemp("files"))


def hold(reference: Any, values: dict[str, Any], wav: Tensor, lively: bool = True) -> None:
    part = build("tokenizer", "speechtokenizer", values)
    with torch.no_grad():
        codes = reference.encode(wav)
        back = reference.decode(codes)
        latents = part.codec.encoder(wav)
    codes = codes.transpose(0, 1)
    found = part.encode(wav[:, 0], torch.full((len(wav),), wav.shape[-1]))
    assert_codes_agree(found.values, codes, latents, part.codec.quantizer, lively)
    again, lengths = part.decode(Codes(codes, found.lengths, part.spec))
    assert lengths.tolist() == [codes.shape[-1] * 320] * len(wav)
    assert float((again - back[:, 0]).abs().max()) <= 1e-5
    assert float(back.abs().max()) > 0.01


@pytest.mark.parametrize("samples", [32000, 32001, 47999, 321, 5, 1])
def test_noise_is_coded_as_by_the_package(both: Any, samples: int) -> None:
    hold(*both, noise(2, 1, samples, samples), lively=samples >= 32000)


def test_speech_is_coded_as_by_the_package(both: Any, speech: Path, tmp_path: Path) -> None:
    wav = spoken(speech, 16000, 6.0)
    reference = fill(deepcopy(both[0]), wav)
    config = json.loads((Path(both[1]["weights"]).parent / "config.json").read_text())
    hold(reference, files(reference, config, tmp_path), wav)


@pytest.mark.slow
def test_the_published_sizes_are_coded_as_by_the_package(
    speechtokenizer: ModuleType, tmp_path: Path
) -> None:
    config = {**SMALL, "n_filters": 64, "dimension": 1024, "semantic_dimension": 768}
    config["codebook_size"] = 1024
    reference = model(speechtokenizer, config)
    values = files(reference, config, tmp_path)
    (tmp_path / "config.json").unlink()
    hold(reference, values, noise(1, 1, 32123, 1))


def test_a_selection_of_codebooks_is_that_part_of_all(both: Any) -> None:
    reference, values = both
    wav, lengths = noise(2, 1, 16000, 3)[:, 0], torch.tensor([16000, 9001])
    every = build("tokenizer", "speechtokenizer", values)
    whole = every.encode(wav, lengths)
    for spelt, first, last in (("1", 1, 1), ("1:3", 1, 3), ("2:8", 2, 8)):
        part = build("tokenizer", "speechtokenizer", {**values, "codebooks": spelt})
        part.codec.load_state_dict(every.codec.state_dict())
        codes = part.encode(wav, lengths)
        assert part.spec.codebooks == last - first + 1
        assert torch.equal(codes.values, whole.values[:, first - 1 : last])
        with torch.no_grad():
            due = reference.decode(codes.values[:1].transpose(0, 1), st=first - 1)
        assert float((part.decode(codes)[0][:1] - due[:, 0]).abs().max()) <= 1e-5


def test_rows_of_any_length_are_coded_as_alone(both: Any) -> None:
    part = build("tokenizer", "speechtokenizer", both[1])
    lengths = torch.tensor([16000, 700, 8123, 15999, 16000])
    wav = noise(5, 1, 17000, 4)[:, 0]
    codes = part.encode(wav, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone = part.encode(wav[row : row + 1, :length], lengths[row : row + 1])
        assert torch.equal(alone.values, codes.row(row).values)


def test_a_long_wave_goes_through_in_windows(both: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    part = build("tokenizer", "speechtokenizer", both[1])
    length = torch.tensor([16000 * 9 + 100])
    wav = noise(1, 1, int(length), 5)[:, 0]
    whole = part.encode(wav, length)
    sound, samples = part.decode(whole)
    monkeypatch.setattr("slmkit.codecs.codec.WHOLE", 4)
    windowed = part.encode(wav, length)
    assert torch.equal(windowed.lengths, whole.lengths)
    # beyond a second only the LSTM hears, and it forgets
    agreement = (windowed.values == whole.values).float().mean()
    assert agreement > 0.99
    again, lengths = part.decode(whole)
    assert torch.equal(lengths, samples)
    assert float((again - sound).abs().max()) <= 1e-3


@pytest.mark.parametrize("seconds", [0.3, 4, 4.00625, 5, 6, 7.99, 8, 9.5])
@pytest.mark.parametrize("block", [0.7, 100])
def test_blocks_of_a_sound_are_coded_as_the_whole(
    both: Any, monkeypatch: pytest.MonkeyPatch, seconds: float, block: float
) -> None:
    monkeypatch.setattr("slmkit.codecs.codec.WHOLE", 4)
    part = build("tokenizer", "speechtokenizer", both[1])
    wav = noise(1, 1, round(16000 * seconds), 5)[:, 0]
    whole = part.encode(wav, torch.tensor([wav.shape[1]]))
    joined = Codes.join(list(part.encode_long(iter(wav.split(round(16000 * block), dim=1)))))
    assert torch.equal(joined.values, whole.values)
    with pytest.raises(AudioError, match="no samples"):
        list(part.encode_long(iter([])))


@pytest.mark.parametrize("config", [SMALL, SNAKE], ids=["elu", "snake"])
@pytest.mark.parametrize("codebooks", ["1", "1:8", "2:4"])
def test_it_keeps_the_laws(config: dict[str, Any], codebooks: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    values = {"config": str(tmp_path / "config.json"), "codebooks": codebooks}
    check_part("tokenizer", "speechtokenizer", tmp_path, values)


def test_files_that_do_not_fit_are_refused(both: Any, tmp_path: Path) -> None:
    reference, _ = both

    def refused(config: Any, message: str) -> None:
        values = files(reference, config, tmp_path)
        with pytest.raises(WeightsError, match=message):
            build("tokenizer", "speechtokenizer", values)

    other = {**json.loads((Path(both[1]["weights"]).parent / "config.json").read_text())}
    refused({**other, "n_filters": 16}, r"encoder.first.conv.weight is .* does the config belong")
    refused({**SMALL, "n_q": 0, "strides": "8,5"}, "n_q is 0.*strides is '8,5'")
    refused({k: v for k, v in SMALL.items() if k != "dimension"}, "lacks dimension")
    refused({**SMALL, "activation": "GELU"}, "neither ELU nor Snake")
    refused([], "holds no object")


def test_wrong_codebooks_are_refused(both: Any) -> None:
    for spelt in ("0:3", "3:2", "one", "1-3"):
        with pytest.raises(OptionsError):
            build("tokenizer", "speechtokenizer", {**both[1], "codebooks": spelt})
    with pytest.raises(MisfitError, match="that has 8"):
        build("tokenizer", "speechtokenizer", {**both[1], "codebooks": "1:9"})
