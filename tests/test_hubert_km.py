"""hubert-km: against transformers row by row, alone and in batches, and its files."""

from __future__ import annotations

from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.cluster import MiniBatchKMeans
from transformers import HubertConfig, HubertModel

from slmkit.api import AudioError, DataError, WeightsError
from slmkit.host import build
from slmkit.testing import tokenizer_laws

WIDTH, CLUSTERS = 32, 12


@pytest.fixture(params=["group", "layer"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A tiny random model: hubert-base's group norm, or the large models' layer norm."""
    torch.manual_seed(0)
    config = HubertConfig(
        hidden_size=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=48,
        conv_dim=[16] * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm=request.param,
        do_stable_layer_norm=request.param == "layer",
    )
    HubertModel(config).save_pretrained(tmp_path / "hubert")
    return tmp_path / "hubert"


def centroids(folder: Path) -> Path:
    torch.manual_seed(1)
    path = folder.parent / "km.safetensors"
    save_file({"centroids": torch.randn(CLUSTERS, WIDTH)}, path)
    return path


def tokenizer(folder: Path, **options: object):
    base = {"model": str(folder), "layer": 2, "clusters": CLUSTERS}
    return build("tokenizer", "hubert-km", {**base, "kmeans": str(centroids(folder)), **options})


def waves(*lengths: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    wav = torch.randn(len(lengths), max(lengths)) * 0.1
    return wav, torch.tensor(lengths)


def test_the_laws_are_kept(folder: Path, tmp_path: Path) -> None:
    tokenizer_laws(lambda: tokenizer(folder), tmp_path / "saved")


def test_units_are_those_of_each_row_alone_through_transformers(folder: Path) -> None:
    ours = tokenizer(folder)
    reference = HubertModel.from_pretrained(folder).eval()
    wav, lengths = waves(4000, 16000, 7777, 16000)
    codes = ours.encode(wav, lengths)
    for row, length in enumerate(lengths.tolist()):
        with torch.inference_mode():
            hidden = reference(wav[row : row + 1, :length], output_hidden_states=True)
        distances = torch.cdist(hidden.hidden_states[2][0].double(), ours.centroids.double())
        frames = (length - 400) // 320 + 1
        assert codes.lengths[row] == frames
        assert codes.values[row, 0, :frames].tolist() == distances.argmin(dim=-1).tolist()


def test_padding_and_what_lies_in_it_change_nothing(folder: Path) -> None:
    ours = tokenizer(folder)
    wav, lengths = waves(4000, 16000)
    codes = ours.encode(wav, lengths)
    longer = torch.cat([wav, torch.full((2, 999), 0.7)], dim=1)
    again = ours.encode(longer, lengths)
    alone = ours.encode(wav[:1, :4000], lengths[:1])
    assert torch.equal(again.values, codes.values)
    assert torch.equal(alone.values[0], codes.row(0).values[0])


def test_features_are_the_same_to_the_last_bit_among_rows_of_one_length(folder: Path) -> None:
    ours = tokenizer(folder)
    wav, lengths = waves(400, 700, 700, 700, 8000, 8000)
    together = ours.features(wav, lengths)
    for row, length in enumerate(lengths.tolist()):
        (alone,) = ours.features(wav[row : row + 1, :length], lengths[row : row + 1])
        assert torch.equal(alone, together[row])


def test_padding_by_forty_samples_gives_a_frame_a_hop(folder: Path) -> None:
    wav, lengths = waves(16000)
    assert tokenizer(folder).encode(wav, lengths).lengths.tolist() == [49]
    assert tokenizer(folder, pad=40).encode(wav, lengths).lengths.tolist() == [50]


def test_normalizing_makes_units_deaf_to_level(folder: Path) -> None:
    wav, lengths = waves(9000)
    plain, level = tokenizer(folder), tokenizer(folder, normalize=True)
    assert torch.equal(level.encode(wav, lengths).values, level.encode(wav * 5, lengths).values)
    ours = level.features(wav, lengths)[0]
    theirs = plain.features((wav - wav.mean()) / (wav.var(unbiased=False) + 1e-5).sqrt(), lengths)
    torch.testing.assert_close(ours, theirs[0], atol=1e-4, rtol=1e-4)


def test_centroids_are_fitted_saved_and_restored(folder: Path, tmp_path: Path) -> None:
    ours = tokenizer(folder, kmeans=None)
    wav, lengths = waves(16000, 12000)
    with pytest.raises(DataError, match="no centroids"):
        ours.encode(wav, lengths)
    ours.fit([(wav, lengths)])
    ours.save(tmp_path / "saved")
    again = tokenizer(folder, kmeans=None)
    again.restore(tmp_path / "saved")
    assert torch.equal(again.encode(wav, lengths).values, ours.encode(wav, lengths).values)
    assert (tmp_path / "saved" / "weights.safetensors").stat().st_size < 10_000


def test_a_pickle_needs_leave_and_is_converted_once(folder: Path, tmp_path: Path) -> None:
    model = MiniBatchKMeans(CLUSTERS, n_init=1).fit(
        np.random.default_rng(0).normal(size=(99, WIDTH))
    )
    path = tmp_path / "km.bin"
    joblib.dump(model, path)
    with pytest.raises(WeightsError, match="allow_pickle=true"):
        tokenizer(folder, kmeans=str(path))
    first = tokenizer(folder, kmeans=str(path), allow_pickle=True)
    torch.testing.assert_close(first.centroids, torch.from_numpy(model.cluster_centers_).float())
    path.write_bytes(b"gone")
    assert torch.equal(tokenizer(folder, kmeans=str(path)).centroids, first.centroids)


def test_arrays_and_what_does_not_fit(folder: Path, tmp_path: Path) -> None:
    array = np.zeros((CLUSTERS, WIDTH), dtype=np.float32)
    np.save(tmp_path / "km.npy", array)
    assert tokenizer(folder, kmeans=str(tmp_path / "km.npy")).centroids.sum() == 0
    np.save(tmp_path / "narrow.npy", array[:, :3])
    with pytest.raises(WeightsError, match=r"\(12, 3\), expected \(12, 32\)"):
        tokenizer(folder, kmeans=str(tmp_path / "narrow.npy"))
    with pytest.raises(WeightsError, match="layers 1 to 3"):
        tokenizer(folder, layer=4)
    with pytest.raises(WeightsError, match="no such file"):
        tokenizer(folder, kmeans="nowhere.npy")
    with pytest.raises(WeightsError, match="hf download"):
        tokenizer(tmp_path / "nowhere")


def test_short_silent_and_broken_waves(folder: Path) -> None:
    ours = tokenizer(folder)
    assert ours.encode(torch.zeros(1, 22), torch.tensor([22])).lengths.tolist() == [1]
    assert ours.encode(torch.zeros(1, 800), torch.tensor([800])).lengths.tolist() == [2]
    with pytest.raises(AudioError, match="finite"):
        ours.encode(torch.full((1, 800), torch.nan), torch.tensor([800]))
    with pytest.raises(AudioError, match="no samples"):
        ours.encode(torch.zeros(1, 800), torch.tensor([0]))
