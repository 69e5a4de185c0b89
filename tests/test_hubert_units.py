"""hubert-km: published units by name, windows, other builds of HuBERT, and hubert-base's size."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from slmkit_hubert.frontend import Frames, moments
from slmkit_hubert.windows import windows
from transformers import HubertConfig, HubertModel

from slmkit.api import OptionsError, WeightsError
from slmkit.host import build, host, make_options

TINY = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 48,
    "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
CLOSE = 1e-5
"""Two centroids whose squared distances differ by less, relatively, are as good as equal."""


def saved(folder: Path, **config: object) -> str:
    torch.manual_seed(0)
    HubertModel(HubertConfig(**{**TINY, **config})).save_pretrained(folder)
    return str(folder)


def sounds(*lengths: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise that swells, fades and changes its colour, so that frames differ."""
    generator = torch.Generator().manual_seed(seed)
    wav = torch.randn(len(lengths), max(lengths), generator=generator)
    time = torch.arange(max(lengths)) / 16000
    tones = torch.sin(2 * torch.pi * 300 * time * (1 + time[:, None].T.remainder(1.3)))
    swell = 0.05 + 0.3 * torch.sin(5 * time).abs()
    return (0.3 * wav + tones) * swell, torch.tensor(lengths)


def reference(model: str, layer: int, wav: torch.Tensor, **_: object) -> torch.Tensor:
    """The layer [t, d] of one wave through transformers."""
    theirs = HubertModel.from_pretrained(model).eval()
    with torch.inference_mode():
        return theirs(wav[None], output_hidden_states=True).hidden_states[layer][0]


def spread(hidden: torch.Tensor, clusters: int, path: Path) -> str:
    """Centroids among these frames: random models say much the same at every frame."""
    torch.manual_seed(3)
    picked = hidden[torch.randint(len(hidden), (clusters,))]
    noise = torch.randn_like(picked) * hidden.std(dim=0) * 0.5
    save_file({"centroids": (picked + noise).contiguous()}, path)
    return str(path)


def undecided(hidden: torch.Tensor, centroids: torch.Tensor) -> torch.Tensor:
    """Frames [t] whose two nearest centroids are as good as equally near."""
    nearest = torch.cdist(hidden.double(), centroids.double()).square().topk(2, largest=False)
    near, far = nearest.values.T
    return (far - near) / far < CLOSE


# --- presets


@pytest.mark.parametrize(
    ("preset", "expected", "rate", "file"),
    [
        ("hubert-base-l9-km500", ("facebook/hubert-base-ls960", 9, 500, False, 0), 50,
         "hubert_base_ls960_L9_km500.bin"),
        ("mhubert-l11-km1000", ("voidful/mhubert-base", 11, 1000, False, 0), 50,
         "mhubert_base_vp_en_es_fr_it3_L11_km1000.bin"),
        ("mhubert-25hz-l11-km500", ("slprl/mhubert-base-25hz", 11, 500, False, 40), 25,
         "mhubert_base_25hz_cp_mls_cv_sp_fisher_L11_km500.bin"),
    ],
)  # fmt: skip
def test_presets_are_the_published_units(
    preset: str, expected: tuple[object, ...], rate: float, file: str
) -> None:
    shelved = host().find("tokenizer", "hubert-km")
    options = make_options(shelved, {"preset": preset})
    assert dataclasses.astuple(options.units) == expected
    assert shelved.declaration.abilities(options).frame_rate == rate
    assert options.published.centroids.endswith("/" + file)
    assert file in shelved.declaration.source
    assert f"{options.published.licence} ({preset})" in shelved.declaration.licence


def test_what_is_given_goes_before_the_preset() -> None:
    shelved = host().find("tokenizer", "hubert-km")
    given = {"preset": "mhubert-l11-km1000", "layer": 6, "normalize": True, "pad": 40}
    units = make_options(shelved, given).units
    assert dataclasses.astuple(units) == ("voidful/mhubert-base", 6, 1000, True, 40)
    other = make_options(shelved, {"model": "mine", "pad": 0})
    assert dataclasses.astuple(other.units) == ("mine", 9, 500, False, 0)
    assert shelved.declaration.abilities(other).frame_rate is None


def test_a_preset_that_is_not_there_is_named_with_the_nearest() -> None:
    with pytest.raises(OptionsError, match=r"no preset 'mhubert-l11-km100'; .*mhubert-l11-km1000"):
        build("tokenizer", "hubert-km", {"preset": "mhubert-l11-km100"})


# --- frames and windows


@pytest.mark.parametrize("samples", [400, 719, 720, 16000, 16001, 40079])
def test_frames_are_counted_as_the_convolutions_make_them(samples: int) -> None:
    kernels, strides = [10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2]
    for kernel, stride in ((kernels, strides), ([*kernels, 2], [*strides, 2])):
        frames = Frames.of(kernel, stride)
        count = samples
        for k, s in zip(kernel, stride, strict=True):
            count = (count - k) // s + 1
        assert frames.count(samples) == max(0, count)
    assert (frames.hop, frames.sight) == (640, 720)


def test_statistics_of_windows_are_those_of_the_first_convolution() -> None:
    wav = sounds(70001)[0][0]
    weight = torch.randn(6, 1, 10, dtype=torch.float64)
    out = torch.nn.functional.conv1d(wav.double()[None, None], weight, stride=5)[0]
    mean, covariance = moments(wav, 10, 5)
    torch.testing.assert_close(weight[:, 0] @ mean, out.mean(dim=1))
    variance = ((weight[:, 0] @ covariance) * weight[:, 0]).sum(dim=1)
    torch.testing.assert_close(variance, out.var(dim=1, unbiased=False))


@pytest.mark.parametrize("frames", [0, 1, 99, 100, 101, 180, 181, 999, 12345])
def test_windows_keep_every_frame_once(frames: int) -> None:
    found = list(windows(frames, longest=100, context=10))
    kept = [frame for w in found for frame in range(w.start, w.stop)[w.kept]]
    assert kept == list(range(frames))
    assert all(w.stop - w.start <= 100 for w in found)
    for w in found:
        assert w.first - w.start == (10 if w.start else 0)
        assert w.stop - w.last == (10 if w.stop < frames else 0)


def test_a_long_sound_in_windows_has_nearly_the_units_of_the_whole(tmp_path: Path) -> None:
    model = saved(tmp_path / "hubert")
    wav, lengths = sounds(16000 * 75 + 123)
    base = {"model": model, "layer": 2, "clusters": 12}
    whole = build("tokenizer", "hubert-km", base)
    hidden = whole.features(wav, lengths)[0]
    base["kmeans"] = spread(hidden, 12, tmp_path / "km.safetensors")
    whole = build("tokenizer", "hubert-km", base).encode(wav, lengths)
    cut = build("tokenizer", "hubert-km", {**base, "window": 30.0})
    pieces = cut.encode(wav, lengths)
    assert torch.equal(pieces.lengths, whole.lengths)
    agreement = (pieces.values == whole.values).double().mean()
    assert 0.9 < agreement < 1, agreement
    # no part of a window is stitched a frame too early or too late
    for start in range(0, pieces.values.shape[2], 200):
        some = slice(start, start + 200)
        assert (pieces.values[..., some] == whole.values[..., some]).double().mean() > 0.8


# --- other builds


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"conv_bias": True},
        {"feat_proj_layer_norm": False},
        {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
        {"num_conv_pos_embeddings": 15},
        {"hidden_act": "relu", "feat_extract_activation": "relu"},
        {"conv_dim": [16] * 8, "conv_kernel": [10, 3, 3, 3, 3, 2, 2, 2],
         "conv_stride": [5, 2, 2, 2, 2, 2, 2, 2]},
    ],
    ids=lambda config: "-".join(config) or "base",
)  # fmt: skip
def test_every_layer_of_every_build_is_that_of_transformers(
    config: dict[str, object], tmp_path: Path
) -> None:
    model = saved(tmp_path / "hubert", **config)
    wav, lengths = sounds(9000)
    for layer in (1, 2, 3):
        if layer == 3 and config.get("do_stable_layer_norm"):
            continue  # the last one: see below
        ours = build("tokenizer", "hubert-km", {"model": model, "layer": layer})
        (found,) = ours.features(wav, lengths)
        torch.testing.assert_close(found, reference(model, layer, wav[0]), atol=2e-5, rtol=2e-5)


def test_the_last_layer_of_a_large_model_has_no_norm_after_it(tmp_path: Path) -> None:
    """fairseq gives a chosen layer as it is; so does transformers 5 among its hidden states."""
    model = saved(tmp_path / "hubert", feat_extract_norm="layer", do_stable_layer_norm=True)
    wav, lengths = sounds(9000)
    (found,) = build("tokenizer", "hubert-km", {"model": model, "layer": 3}).features(wav, lengths)
    theirs = HubertModel.from_pretrained(model).eval()
    with torch.inference_mode():
        normed = theirs(wav).last_hidden_state[0]
        torch.testing.assert_close(theirs.encoder.layer_norm(found), normed, atol=2e-5, rtol=2e-5)
    assert float((found - normed).abs().max()) > 0.1


def test_builds_that_no_published_model_has_are_refused(tmp_path: Path) -> None:
    model = saved(tmp_path / "hubert", conv_pos_batch_norm=True)
    with pytest.raises(WeightsError, match="'conv_pos_batch_norm' in its config"):
        build("tokenizer", "hubert-km", {"model": model, "layer": 1})


def test_features_are_the_same_to_the_last_bit_in_any_batch(tmp_path: Path) -> None:
    ours = build("tokenizer", "hubert-km", {"model": saved(tmp_path / "hubert"), "layer": 2})
    wav, lengths = sounds(400, 16000, 723, 48011, 30000, 400, 9999)
    together = ours.features(wav, lengths)
    shuffled = ours.features(wav[[3, 0, 6]], lengths[[3, 0, 6]])
    assert all(torch.equal(shuffled[i], together[j]) for i, j in enumerate((3, 0, 6)))
    for row, length in enumerate(lengths.tolist()):
        (alone,) = ours.features(wav[row : row + 1, :length], lengths[row : row + 1])
        assert torch.equal(alone, together[row])


@pytest.mark.parametrize("large", [False, True])
def test_units_of_models_of_the_published_sizes_are_those_of_transformers(
    large: bool, tmp_path: Path
) -> None:
    """Random weights, every published dimension; only blocks below the layer are made."""
    config: dict[str, object] = {"num_hidden_layers": 9}
    if large:
        config = {
            "num_hidden_layers": 2, "hidden_size": 1024, "num_attention_heads": 16,
            "intermediate_size": 4096, "feat_extract_norm": "layer", "conv_bias": True,
            "do_stable_layer_norm": True,
        }  # fmt: skip
    torch.manual_seed(0)
    layer = int(str(config["num_hidden_layers"])) - int(large)
    model = str(tmp_path / "hubert")
    HubertModel(HubertConfig(**config)).save_pretrained(model)
    wav, lengths = sounds(48000, 20000, 16400)
    hidden = [reference(model, layer, row[:n]) for row, n in zip(wav, lengths, strict=True)]
    kmeans = spread(torch.cat(hidden), 500, tmp_path / "km.safetensors")
    ours = build("tokenizer", "hubert-km", {"model": model, "layer": layer, "kmeans": kmeans})
    codes = ours.encode(wav, lengths)
    used = set()
    for row, theirs in enumerate(hidden):
        units = torch.cdist(theirs.double(), ours.centroids.double()).argmin(dim=1)
        found = codes.row(row).values[0, 0]
        ties = undecided(theirs, ours.centroids)
        assert torch.equal(found[~ties], units[~ties])
        assert ties.sum() <= 1
        used |= set(units.tolist())
    assert len(used) > 50
