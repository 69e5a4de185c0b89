"""The parts over the reference packages answer as the packages do, and say what they cannot do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import oracles
import pytest
import tiny_models
import torch
from safetensors.torch import save_file
from torch import Tensor

from slmkit.api import Codes, MisfitError, OptionsError, WeightsError
from slmkit.host import build


def batch(sample_rate: int) -> tuple[Tensor, Tensor]:
    """The test sounds as one padded batch, what lies beyond an end not being silent."""
    wavs = [wav[0] for wav in oracles.sounds(sample_rate)]
    lengths = torch.tensor([len(wav) for wav in wavs])
    wav = torch.nn.utils.rnn.pad_sequence(wavs, batch_first=True, padding_value=0.3)
    return wav, lengths


@pytest.mark.parametrize(("kbps", "codebooks"), [(1.5, 2), (24.0, 32)])
def test_encodec_answers_as_its_package(
    encodec: ModuleType, kbps: float, codebooks: int, tmp_path: Path
) -> None:
    model = oracles.encodec_24khz(encodec, seed=5)
    torch.save(model.state_dict(), tmp_path / "encodec.th")
    part = build(
        "tokenizer", "encodec-reference", {"weights": str(tmp_path / "encodec.th"), "kbps": kbps}
    )
    assert part.spec.bits_per_second == pytest.approx(1000 * kbps)
    model.set_target_bandwidth(kbps)
    wav, lengths = batch(24000)
    codes = part.encode(wav, lengths)
    back, samples = part.decode(codes)
    for row, length in enumerate(lengths.tolist()):
        with torch.no_grad():
            ((theirs, _),) = model.encode(wav[row : row + 1, None, :length])
            spoken = model.decode([(theirs, None)])[0, 0]
        assert theirs.shape[1] == codebooks
        assert torch.equal(codes.row(row).values, theirs)
        assert int(samples[row]) == len(spoken) == -(-length // 320) * 320
        assert torch.equal(back[row, : len(spoken)], spoken)


def test_speechtokenizer_answers_as_its_package(
    speechtokenizer: ModuleType, tmp_path: Path
) -> None:
    model = oracles.speech_tokenizer(speechtokenizer, seed=5)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    options = {
        "weights": str(tmp_path / "model.safetensors"),
        "config": str(tiny_models.speechtokenizer(tmp_path / "config.json")),
    }
    part, first = (
        build("tokenizer", "speechtokenizer-reference", {**options, **some})
        for some in ({}, {"codebooks": 3})
    )
    wav, lengths = batch(16000)
    codes = part.encode(wav, lengths)
    assert torch.equal(first.encode(wav, lengths).values, codes.values[:, :3])
    back, _ = part.decode(codes)
    for row, length in enumerate(lengths.tolist()):
        with torch.no_grad():
            theirs = model.encode(wav[row : row + 1, None, :length])
            spoken = model.decode(theirs)[0, 0]
        assert torch.equal(codes.row(row).values, theirs.transpose(0, 1))
        assert torch.equal(back[row, : len(spoken)], spoken)
        assert not back[row, len(spoken) :].any()


Build = Callable[..., object]


@pytest.fixture(params=["encodec-reference", "speechtokenizer-reference"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Build:
    """Builds one of the parts, small where that can be."""
    request.getfixturevalue(request.param.removesuffix("-reference"))
    small = {}
    if request.param == "speechtokenizer-reference":
        small = {"config": str(tiny_models.speechtokenizer(tmp_path / "config.json"))}
    return lambda **options: build("tokenizer", request.param, {**small, **options})


def test_without_weights_codes_vary_and_are_always_the_same(make: Build) -> None:
    torch.manual_seed(11)
    part = make()
    torch.manual_seed(12)
    again = make()
    wav, lengths = batch(part.spec.sample_rate)
    codes = part.encode(wav, lengths)
    oracles.assert_well_used([codes.row(row).values[0] for row in range(len(codes))])
    assert torch.equal(again.encode(wav, lengths).values, codes.values)


def test_training_mode_moves_no_codebook(make: Build) -> None:
    part = make().train()
    wav, lengths = batch(part.spec.sample_rate)
    before = {name: tensor.clone() for name, tensor in part.state_dict().items()}
    part.encode(wav[:1], lengths[:1])
    assert all(torch.equal(tensor, before[name]) for name, tensor in part.state_dict().items())


def test_codes_that_are_not_its_own_are_refused(make: Build) -> None:
    part = make()
    codes = Codes.pad([torch.zeros(part.spec.codebooks, 4, dtype=torch.int64)], part.spec)
    with pytest.raises(MisfitError, match="decodes CodeSpec"):
        part.decode(replace(codes, spec=replace(part.spec, sample_rate=8000)))
    for wrong in (-1, 1024):
        with pytest.raises(MisfitError, match="no codebook"):
            part.decode(replace(codes, values=codes.values + wrong))


def test_weights_that_do_not_fit_are_named(make: Build, tmp_path: Path) -> None:
    state = make().model.state_dict()
    first = next(iter(state))
    torch.save({f"x{name}": tensor for name, tensor in state.items()}, tmp_path / "named.pt")
    with pytest.raises(WeightsError, match=rf"named.pt: lacks {first}; .* more; is it the state"):
        make(weights=str(tmp_path / "named.pt"))
    with pytest.raises(WeightsError, match="no such file"):
        make(weights=str(tmp_path / "absent.pt"))
    torch.save(torch.nn.Linear(2, 2), tmp_path / "pickle.pt")
    with pytest.raises(WeightsError, match="without running code"):
        make(weights=str(tmp_path / "pickle.pt"))


@pytest.mark.usefixtures("encodec", "speechtokenizer")
def test_options_that_the_models_lack_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match=r"kbps is 5, and not one of 1.5, 3, 6, 12, 24"):
        build("tokenizer", "encodec-reference", {"kbps": 5.0})
    config = tiny_models.speechtokenizer(tmp_path / "config.json")
    with pytest.raises(OptionsError, match="codebooks is 9; the model has 8"):
        build("tokenizer", "speechtokenizer-reference", {"config": str(config), "codebooks": 9})
    lacking = json.loads(config.read_text())
    del lacking["strides"]
    config.write_text(json.dumps(lacking))
    with pytest.raises(WeightsError, match=r"config.json: the config lacks strides"):
        build("tokenizer", "speechtokenizer-reference", {"config": str(config)})
    config.write_text("[")
    with pytest.raises(WeightsError, match=r"not a SpeechTokenizer config.json"):
        build("tokenizer", "speechtokenizer-reference", {"config": str(config)})


HIDDEN = """
import importlib.util, sys
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "encodec" else find(name, *rest)
from slmkit.cli.main import main
sys.argv = ["slmkit", "list", "tokenizer"]
main()
"""


def test_the_list_says_what_a_missing_package_takes() -> None:
    run = subprocess.run([sys.executable, "-c", HIDDEN], capture_output=True, text=True)
    rows = {line.split("\t")[0]: line for line in run.stdout.splitlines()}
    assert rows["encodec-reference"].endswith("needs encodec: pip install --no-deps encodec")
    assert "torch" not in run.stderr
