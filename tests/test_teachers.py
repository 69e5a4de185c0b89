"""Parts that a codec can learn from: the transcriber `ctc`, HuBERT; and the laws they keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import HubertConfig, HubertModel

from slmkit.api import FeatureSpec, Teacher
from slmkit.host import build
from slmkit.testing.teachers import teacher_laws

LENGTHS = torch.tensor([16000, 9001])
WAV = torch.sin(torch.arange(16000) / 7.0)[None] * torch.tensor([[0.3], [0.1]])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random HuBERT of the base kind."""
    torch.manual_seed(0)
    config = HubertConfig(
        hidden_size=24,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=[16] * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    folder = tmp_path_factory.mktemp("hubert")
    HubertModel(config).save_pretrained(folder)
    return folder


def hubert(model: Path, **options: Any) -> Any:
    return build("tokenizer", "hubert-km", {"model": str(model), "clusters": 4, **options})


@pytest.mark.parametrize(("teaches", "layer"), [("mean", 3), ("mean", 2), ("layer", 2)])
def test_hubert_teaches_the_states_of_transformers(model: Path, teaches: str, layer: int) -> None:
    reference = HubertModel.from_pretrained(model).eval()
    features, frames = hubert(model, teaches=teaches, layer=layer).represent(WAV, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        with torch.no_grad():
            found = reference(WAV[row : row + 1, :length], output_hidden_states=True)
        states = torch.stack(found.hidden_states[: layer + 1])
        due = states.mean(dim=0) if teaches == "mean" else states[-1]
        assert int(frames[row]) == due.shape[1]
        torch.testing.assert_close(features[row, : due.shape[1]], due[0], atol=1e-4, rtol=1e-4)


def test_ctc_teaches_what_its_scores_are_read_from() -> None:
    torch.manual_seed(0)
    judge = build("transcriber", "ctc", {"width": 16, "layers": 1})
    features, frames = judge.represent(WAV, LENGTHS)
    scores, lengths = judge.logits(*judge.features(WAV, LENGTHS))
    assert torch.equal(frames, lengths)
    with torch.no_grad():
        torch.testing.assert_close(judge.last(features.clone()), scores)
    assert judge.feature_spec == FeatureSpec(16000, 320, 16)


def test_both_keep_the_laws(model: Path) -> None:
    torch.manual_seed(0)
    teacher_laws(build("transcriber", "ctc", {"width": 16, "layers": 1}), WAV, LENGTHS)
    teacher_laws(hubert(model, teaches="mean", layer=3), WAV, LENGTHS)


class Loud(Teacher):
    """How loud each frame of 20 ms is, in two copies."""

    feature_spec = FeatureSpec(16000, 320, 2)

    def represent(self, wav: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        loud = wav.unfold(1, 320, 320).abs().mean(dim=2)
        return loud[:, :, None].repeat(1, 1, 2), lengths // 320


class Wide(Loud):
    feature_spec = FeatureSpec(16000, 320, 3)


class Slow(Loud):
    feature_spec = FeatureSpec(16000, 640, 2)


class HearsTheBatch(Loud):
    def represent(self, wav: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        features, frames = super().represent(wav, lengths)
        return features / features.max(), frames


class Deaf(Loud):
    def represent(self, wav: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return super().represent(torch.zeros_like(wav), lengths)


class Learns(Loud):
    def represent(self, wav: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        features, frames = super().represent(wav, lengths)
        return features * torch.ones(2, requires_grad=True), frames


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (Wide, "3 wide"),
        (Slow, "declared rate is 25 Hz"),
        (HearsTheBatch, "differs from the batch"),
        (Deaf, "not zero"),
        (Learns, "no gradient"),
    ],
)
def test_broken_teachers_are_found(broken: type[Loud], law: str) -> None:
    teacher_laws(Loud(), WAV, LENGTHS)
    with pytest.raises(AssertionError, match=law):
        teacher_laws(broken(), WAV, LENGTHS)


def test_who_declares_nothing_may_not_teach() -> None:
    part = build("tokenizer", "mel-km", {"clusters": 4})
    teacher_laws(part, WAV, LENGTHS)

    class Secret(type(part), Loud):  # type: ignore[misc]
        pass

    part.__class__ = Secret
    with pytest.raises(AssertionError, match="declared teaches=False"):
        teacher_laws(part, WAV, LENGTHS)
