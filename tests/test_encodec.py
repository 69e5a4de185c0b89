"""The tokenizer `encodec` against Meta's package and transformers, and by itself."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from codec_parity import assert_codes_agree, encodec_model, fill, noise, spoken
from safetensors.torch import save_file
from torch import Tensor

from slmkit.api import AudioError, Codes, MisfitError, OptionsError, WeightsError
from slmkit.host import build
from slmkit.testing import check_part

ODD = (24000, 24001, 31999, 321, 7, 1)


@pytest.fixture(scope="module")
def meta(encodec: ModuleType) -> Any:
    return encodec_model(encodec, "24khz")


@pytest.fixture(scope="module")
def meta_stereo(encodec: ModuleType) -> Any:
    return encodec_model(encodec, "48khz")


def saved(model: Any, folder: Path) -> str:
    torch.save(model.state_dict(), folder / "encodec.th")
    return str(folder / "encodec.th")


@pytest.fixture(scope="module")
def ours(meta: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    weights = saved(meta, tmp_path_factory.mktemp("meta"))
    return build("tokenizer", "encodec", {"weights": weights})


@pytest.fixture(scope="module")
def ours_stereo(meta_stereo: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    weights = saved(meta_stereo, tmp_path_factory.mktemp("meta"))
    return build("tokenizer", "encodec", {"weights": weights, "variant": "48khz"})


@torch.no_grad()
def theirs(model: Any, wav: Tensor, kbps: float = 6.0) -> tuple[list[Any], Tensor]:
    model.set_target_bandwidth(kbps)
    frames = model.encode(wav)
    return frames, model.decode(frames)


def hold(model: Any, ours: Any, wav: Tensor, lively: bool = True) -> None:
    ((codes, _),), back = theirs(model, wav)
    found = ours.encode(wav[:, 0], torch.full((len(wav),), wav.shape[-1]))
    with torch.no_grad():
        latents = ours.codec.encoder(wav)
    assert_codes_agree(found.values, codes, latents, ours.codec.quantizer, lively)
    again, lengths = ours.decode(Codes(codes, found.lengths, ours.spec))
    assert lengths.tolist() == [codes.shape[-1] * 320] * len(wav)
    assert float((again - back[:, 0]).abs().max()) <= 1e-5
    assert float(back.abs().max()) > 0.1


@pytest.mark.parametrize("samples", ODD)
def test_noise_is_coded_as_by_the_package(meta: Any, ours: Any, samples: int) -> None:
    hold(meta, ours, noise(2, 1, samples, samples), lively=samples >= 24000)


def test_speech_is_coded_as_by_the_package(meta: Any, speech: Path, tmp_path: Path) -> None:
    wav = spoken(speech, 24000, 4.0)
    reference = fill(deepcopy(meta), wav)
    hold(reference, build("tokenizer", "encodec", {"weights": saved(reference, tmp_path)}), wav)


def transformers_model(meta: Any, **sizes: Any) -> Any:
    """transformers' model with the weights of Meta's, mapped by the published table of names."""
    from transformers import EncodecConfig, EncodecModel

    model = EncodecModel(EncodecConfig(**sizes)).eval()
    state = {}
    for name, tensor in meta.state_dict().items():
        name = name.replace(".model.", ".layers.").replace("convtr.convtr", "conv")
        name = name.replace("conv.conv", "conv").replace("convtr.norm", "norm")
        name = name.replace("conv.norm", "norm").replace("vq.layers", "layers")
        name = name.replace("._codebook.", ".codebook.")
        name = name.replace("weight_g", "parametrizations.weight.original0")
        state[name.replace("weight_v", "parametrizations.weight.original1")] = tensor
    model.load_state_dict(state)
    return model


def test_transformers_files_give_transformers_codes(meta: Any, tmp_path: Path) -> None:
    model = transformers_model(meta)
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    part = build("tokenizer", "encodec", {"weights": str(tmp_path), "kbps": 12.0})
    wav = noise(2, 1, 24001, 3)
    with torch.no_grad():
        codes = model.encode(wav, bandwidth=12.0).audio_codes[0]
        back = model.decode(codes[None], [None])[0]
    found = part.encode(wav[:, 0], torch.tensor([24001, 24001]))
    with torch.no_grad():
        latents = part.codec.encoder(wav)
    assert_codes_agree(found.values, codes, latents, part.codec.quantizer)
    again, _ = part.decode(Codes(codes, found.lengths, part.spec))
    assert float((again - back[:, 0]).abs().max()) <= 1e-5


@pytest.mark.parametrize("samples", [48000, 47530, 100001, 300])
def test_stereo_is_coded_in_segments_as_by_the_package(
    meta_stereo: Any, ours_stereo: Any, samples: int
) -> None:
    wav = noise(1, 2, samples, samples)
    frames, back = theirs(meta_stereo, wav)
    found = ours_stereo.encode(wav, torch.tensor([samples]))
    assert found.side["segments"][0].tolist() == [codes.shape[-1] for codes, _ in frames]
    assert torch.allclose(found.side["scales"][0], torch.cat([s[0] for _, s in frames]), rtol=1e-6)
    at = 0
    for index, (codes, scale) in enumerate(frames):
        part = found.values[:, :, at : at + codes.shape[-1]]
        with torch.no_grad():
            piece = wav[..., index * 47520 : index * 47520 + 48000]
            latents = ours_stereo.codec.encoder(piece / scale[:, :, None])
        lively = codes.shape[-1] >= 150
        assert_codes_agree(part, codes, latents, ours_stereo.codec.quantizer, lively)
        at += codes.shape[-1]
    given = torch.cat([codes for codes, _ in frames], dim=-1)
    (again,) = ours_stereo.decode_stereo(Codes(given, found.lengths, found.spec, side=found.side))
    assert again.shape == back[0].shape
    assert float((again - back[0]).abs().max()) <= 1e-5
    mono, _ = ours_stereo.decode(found)
    (both,) = ours_stereo.decode_stereo(found)
    assert torch.allclose(mono[0], both.mean(dim=0), atol=1e-6)


def test_transformers_stereo_weights_give_the_same_codes(
    meta_stereo: Any, ours_stereo: Any, tmp_path: Path
) -> None:
    model = transformers_model(
        meta_stereo,
        sampling_rate=48000,
        audio_channels=2,
        normalize=True,
        chunk_length_s=1.0,
        overlap=0.01,
        use_causal_conv=False,
        norm_type="time_group_norm",
        target_bandwidths=[3.0, 6.0, 12.0, 24.0],
    )
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    values = {"weights": str(tmp_path / "model.safetensors"), "variant": "48khz"}
    part = build("tokenizer", "encodec", values)
    wav, length = noise(1, 2, 60000, 5), torch.tensor([60000])
    assert torch.equal(part.encode(wav, length).values, ours_stereo.encode(wav, length).values)
    # transformers takes whole segments only
    whole = wav[..., :48000]
    with torch.no_grad():
        codes = model.encode(whole, bandwidth=6.0).audio_codes[0]
    found = part.encode(whole, torch.tensor([48000]))
    assert torch.equal(found.values[..., :150], codes)


def test_stereo_rows_are_coded_as_alone(ours_stereo: Any) -> None:
    lengths = torch.tensor([52001, 30000, 48000])
    wav = noise(3, 1, 60000, 1)[:, 0]
    codes = ours_stereo.encode(wav, lengths)
    back, samples = ours_stereo.decode(codes)
    for row, length in enumerate(lengths.tolist()):
        alone = ours_stereo.encode(wav[row : row + 1, :length], lengths[row : row + 1])
        assert torch.equal(alone.values, codes.row(row).values)
        apart = ours_stereo.decode(codes.row(row))[0][0] - back[row, : samples[row]]
        assert float(apart.abs().max()) <= 1e-5


def test_a_long_wave_in_windows_is_coded_as_in_one(
    ours: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wav = noise(2, 1, 24000 * 5 + 17, 2)[:, 0]
    lengths = torch.tensor([wav.shape[1], 60001])
    whole = ours.encode(wav, lengths)
    sound, _ = ours.decode(whole)
    monkeypatch.setattr("slmkit.codecs.codec.WINDOW", 1)
    monkeypatch.setattr("slmkit.codecs.codec.WHOLE", 2)
    windowed = ours.encode(wav, lengths)
    with torch.no_grad():
        latents = ours.codec.encoder(wav[:, None], lengths.tolist())
    assert torch.equal(windowed.lengths, whole.lengths)
    assert_codes_agree(windowed.values[:1], whole.values[:1], latents, ours.codec.quantizer)
    spoken_in_windows, _ = ours.decode(whole)
    assert float((spoken_in_windows - sound).abs().max()) <= 1e-5


def test_chunks_as_they_come_are_coded_and_spoken_as_the_whole(ours: Any) -> None:
    wav = noise(1, 1, 24000 + 111, 4)[:, 0]
    whole = ours.encode(wav, torch.tensor([wav.shape[1]]))
    state, parts = ours.empty_state(1), []
    for chunk in wav.split(1920, dim=1):
        codes, state = ours.step(chunk, state)
        parts.append(codes.values)
    parts.append(ours.finish(state).values)
    with torch.no_grad():
        latents = ours.codec.encoder(wav[:, None])
    assert_codes_agree(torch.cat(parts, -1), whole.values, latents, ours.codec.quantizer)
    state, waves = ours.empty_decode_state(1), []
    for at in range(0, whole.values.shape[-1], 6):
        part = Codes(whole.values[..., at : at + 6], torch.tensor([6]), ours.spec)
        wave, state = ours.decode_step(part, state, last=at + 6 >= whole.values.shape[-1])
        waves.append(wave)
    assert float((torch.cat(waves, -1) - ours.decode(whole)[0]).abs().max()) <= 1e-5


def test_it_keeps_the_laws(tmp_path: Path) -> None:
    check_part("tokenizer", "encodec", tmp_path, {"kbps": 1.5})


@pytest.mark.slow
def test_it_keeps_the_laws_at_48_khz_too(tmp_path: Path) -> None:
    check_part("tokenizer", "encodec", tmp_path, {"variant": "48khz", "kbps": 3.0})


def test_weights_that_do_not_fit_are_refused(meta: Any, meta_stereo: Any, tmp_path: Path) -> None:
    def refused(state: Any, message: str, name: str = "x.th") -> None:
        torch.save(state, tmp_path / name)
        with pytest.raises(WeightsError, match=message):
            build("tokenizer", "encodec", {"weights": str(tmp_path / name)})

    state = meta.state_dict()
    refused(meta_stereo.state_dict(), r"lacks .* and \d+ more; .*48khz needs variant=48khz")
    lacking = {n: t for n, t in state.items() if n != "quantizer.vq.layers.3._codebook.embed"}
    refused(lacking, "lacks quantizer.entries")
    refused({**state, "extra": torch.zeros(1)}, "holds extra, which has no place")
    refused({**state, "decoder.model.0.conv.conv.bias": torch.zeros(3)}, r"\(3,\), not \(512,\)")
    refused({"state": state}, "holds tensors by their names")
    refused([1, 2], "holds tensors by their names")
    (tmp_path / "broken.th").write_bytes(b"PK no weights")
    for path in ("broken.th", "absent.th", "."):
        with pytest.raises(WeightsError):
            build("tokenizer", "encodec", {"weights": str(tmp_path / path)})
    with pytest.raises(WeightsError, match="hf download nobody/nothing"):
        build("tokenizer", "encodec", {"weights": "nobody/nothing"})


def test_wrong_options_waves_and_codes_are_refused(ours: Any, ours_stereo: Any) -> None:
    for values in ({"kbps": 7.0}, {"variant": "48khz", "kbps": 1.5}, {"variant": "32khz"}):
        with pytest.raises(OptionsError):
            build("tokenizer", "encodec", values)
    length = torch.tensor([2400])
    with pytest.raises(AudioError, match="mix its channels down"):
        ours.encode(torch.zeros(1, 2, 2400), length)
    with pytest.raises(AudioError, match="a length of 2400"):
        ours.encode(torch.zeros(1, 240), length)
    codes = ours.encode(noise(1, 1, 2400, 0)[:, 0], length)
    with pytest.raises(MisfitError, match="decodes"):
        ours_stereo.decode(codes)
    with pytest.raises(MisfitError, match="no codebook"):
        ours.decode(Codes(codes.values + 1024, codes.lengths, codes.spec))
    stereo = ours_stereo.encode(torch.zeros(1, 2, 2400), length)
    with pytest.raises(MisfitError, match="`side`"):
        ours_stereo.decode(Codes(stereo.values, stereo.lengths, stereo.spec))
    with pytest.raises(MisfitError, match="does not stream"):
        ours_stereo.empty_state(1)


@pytest.mark.parametrize("samples", [47520 + 200, 3 * 47520 + 7001])
def test_stereo_goes_through_in_blocks_as_it_does_whole(samples: int) -> None:
    part = build("tokenizer", "encodec", {"variant": "48khz", "kbps": 3.0})
    wav = torch.randn(1, samples, generator=torch.Generator().manual_seed(0)) / 9
    whole = part.encode(wav, torch.tensor([samples]))
    joined = Codes.join(list(part.encode_long(iter(wav.split(30001, dim=1)))))
    assert torch.equal(joined.values, whole.values)
    assert torch.equal(joined.side["segments"], whole.side["segments"])
    torch.testing.assert_close(joined.side["scales"], whole.side["scales"])
    decoded, lengths = part.decode(whole)
    assert int(lengths[0]) >= samples, "a short last segment cuts the one before it"
    torch.testing.assert_close(torch.cat(list(part.decode_long(whole)), dim=1), decoded)
