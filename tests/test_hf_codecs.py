"""mimi, dac, xcodec: the codes of transformers row by row; and which other codecs do not fit."""

from __future__ import annotations

import importlib.util
import inspect
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
import transformers
from torch.nn import functional as F

from slmkit.api import AudioError, MisfitError, OptionsError, WeightsError
from slmkit.host import build, host, make_options
from slmkit.testing import tokenizer_laws
from slmkit.testing.tokenizers import sounds

CLASSES = {"mimi": "MimiModel", "dac": "DacModel", "xcodec": "XcodecModel"}
OPTION = {"mimi": "num_quantizers", "dac": "n_quantizers", "xcodec": "bandwidth"}
FEWER = {"mimi": 3, "dac": 2, "xcodec": 2}


@pytest.fixture(params=list(CLASSES))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def folder(name: str, tmp_path: Path) -> str:
    return str(getattr(tiny_models, name)(tmp_path / name))


def theirs(name: str, folder: str) -> Any:
    return getattr(transformers, CLASSES[name]).from_pretrained(folder).eval()


def test_codes_and_sounds_are_those_of_transformers_row_by_row(name: str, folder: str) -> None:
    ours, reference = build("tokenizer", name, {"weights": folder}), theirs(name, folder)
    wav, lengths = sounds(ours.spec.sample_rate)
    codes = ours.encode(wav, lengths)
    decoded, counts = ours.decode(codes)
    used = [set() for _ in ours.spec.codebook_sizes]
    for row, length in enumerate(lengths.tolist()):
        wave = wav[row, :length]
        if name != "mimi":  # as their feature extractors do
            wave = F.pad(wave, (0, -length % ours.spec.hop_length))
        with torch.inference_mode():
            wanted = reference.encode(wave[None, None]).audio_codes
            heard = reference.decode(audio_codes=wanted).audio_values.flatten()
        assert torch.equal(codes.row(row).values, wanted)
        assert int(counts[row]) == len(heard)
        torch.testing.assert_close(decoded[row, : len(heard)], heard, atol=1e-5, rtol=1e-5)
        for entries, book in zip(used, wanted[0], strict=True):
            entries |= set(book.tolist())
    assert min(map(len, used)) > 8, "codes that hardly vary prove nothing"


def test_fewer_codebooks_are_those_that_transformers_gives_when_asked(
    name: str, folder: str
) -> None:
    few = FEWER[name]
    ours = build("tokenizer", name, {"weights": folder, "codebooks": few})
    assert ours.spec.codebooks == few
    wav, _ = sounds(ours.spec.sample_rate)
    wave = wav[:1, : 20 * ours.spec.hop_length]
    codes = ours.encode(wave, torch.tensor([wave.shape[1]]))
    asked = 0.6 if name == "xcodec" else few  # kbps: two codebooks of 64 entries at 50 Hz
    with torch.inference_mode():
        wanted = theirs(name, folder).encode(wave[None], **{OPTION[name]: asked}).audio_codes
    assert torch.equal(codes.values, wanted)
    assert ours.decode(codes)[0].shape[0] == 1


def test_the_laws_are_kept(name: str, folder: str, tmp_path: Path) -> None:
    values = {"weights": folder, "codebooks": FEWER[name]}
    tokenizer_laws(lambda: build("tokenizer", name, values), tmp_path / "saved")


def test_what_does_not_fit_is_refused(name: str, folder: str, tmp_path: Path) -> None:
    with pytest.raises(MisfitError, match="codebooks, not 99"):
        build("tokenizer", name, {"weights": folder, "codebooks": 99})
    with pytest.raises(OptionsError, match="0 codebooks"):
        make_options(host().find("tokenizer", name), {"codebooks": 0})
    with pytest.raises(WeightsError, match="hf download"):
        build("tokenizer", name, {"weights": str(tmp_path / "nowhere")})
    all_books, few = (
        build("tokenizer", name, {"weights": folder, "codebooks": count})
        for count in (None, FEWER[name])
    )
    codes = few.encode(*sounds(few.spec.sample_rate))
    with pytest.raises(MisfitError, match="decodes"):
        all_books.decode(codes)
    with pytest.raises(AudioError, match="no samples"):
        few.encode(torch.zeros(1, 900), torch.tensor([0]))


# --- which others there are, and why the adapter does not take them


def codec_classes() -> set[str]:
    """Every model of transformers that encodes a wave into codes or latents and decodes it."""
    found = set()
    for each in dir(transformers):
        if each.endswith("Model") and not each.endswith("PreTrainedModel"):
            try:
                model = getattr(transformers, each)
                if hasattr(model, "decode") and _takes_waves(model.encode):
                    found.add(each)
            except (ImportError, AttributeError):
                continue  # encodes nothing, or stands for what its dependency would bring
    return found


def _takes_waves(encode: Any) -> bool:
    return "input_values" in inspect.signature(encode).parameters


KNOWN = {
    *CLASSES.values(),
    "EncodecModel",
    "HiggsAudioV2TokenizerModel",
    "NeuCodecModel",
    "PocketTTSAudioTokenizerModel",
    "VibeVoiceAcousticTokenizerModel",
    "Xcodec2Model",
}


@pytest.mark.slow
def test_every_codec_of_transformers_is_one_that_the_docs_speak_of() -> None:
    unknown = codec_classes() - KNOWN
    assert not unknown, f"say in docs/tokenizers.md whether the adapter takes {sorted(unknown)}"
    page = (Path(__file__).parents[1] / "docs" / "tokenizers.md").read_text()
    assert all(f"`{each}`" in page for each in KNOWN)


@pytest.mark.parametrize("each", ["Xcodec2Model", "NeuCodecModel"])
def test_codecs_that_want_features_beside_the_wave_do_not_fit(each: str) -> None:
    if not hasattr(transformers, each):
        pytest.skip(f"transformers {transformers.__version__} has no {each}")
    features = inspect.signature(getattr(transformers, each).encode).parameters["input_features"]
    assert features.default is inspect.Parameter.empty


def test_higgs_needs_torchaudio() -> None:
    if not hasattr(transformers, "HiggsAudioV2TokenizerModel"):
        pytest.skip(f"transformers {transformers.__version__} has no HiggsAudioV2TokenizerModel")
    if importlib.util.find_spec("torchaudio"):
        pytest.skip("torchaudio is installed")
    with pytest.raises(ImportError, match="requires the torchaudio library"):
        transformers.HiggsAudioV2TokenizerModel(transformers.HiggsAudioV2TokenizerConfig())


@pytest.mark.parametrize(
    "each", ["PocketTTSAudioTokenizerModel", "VibeVoiceAcousticTokenizerModel"]
)
def test_codecs_of_latents_have_no_codes_to_decode(each: str) -> None:
    if not hasattr(transformers, each):
        pytest.skip(f"transformers {transformers.__version__} has no {each}")
    decode = inspect.signature(getattr(transformers, each).decode).parameters
    assert "latents" in decode
    assert "audio_codes" not in decode


def test_encodec_gives_codes_in_chunks_with_an_axis_more() -> None:
    config = transformers.EncodecConfig(
        hidden_size=16, num_filters=4, num_lstm_layers=1, codebook_size=64, codebook_dim=16,
        upsampling_ratios=[5, 4],
    )  # fmt: skip
    model = transformers.EncodecModel(config).eval()
    with torch.inference_mode():
        codes = model.encode(torch.zeros(1, 1, 4000)).audio_codes
    assert codes.dim() == 4
