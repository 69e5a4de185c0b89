"""Speaker encoders: unit vectors, the same alone and in a batch, and voices apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import WavLMConfig, WavLMForXVector

from slmkit.api import AudioError, WeightsError
from slmkit.data.audio import read_audio
from slmkit.data.batches import pad_wavs
from slmkit.host import build


@pytest.fixture
def wavlm(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = WavLMConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
        conv_dim=[16] * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=2,
        tdnn_dim=[32] * 5, xvector_output_dim=24,
    )  # fmt: skip
    WavLMForXVector(config).save_pretrained(tmp_path / "wavlm")
    return tmp_path / "wavlm"


@pytest.fixture(params=["resemblyzer", "wavlm-sv"])
def encoder(request: pytest.FixtureRequest):
    if request.param == "resemblyzer":
        return build("speaker-encoder", "resemblyzer")
    return build("speaker-encoder", "wavlm-sv", {"model": str(request.getfixturevalue("wavlm"))})


def babble(*seconds: float) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    waves = []
    for duration in seconds:
        time = torch.arange(int(duration * 16000)) / 16000
        tones = sum(torch.sin(2 * torch.pi * f * time) for f in (140, 280, 560, 1200, 2500))
        waves.append((0.05 * tones * (1 + torch.sin(2 * torch.pi * 3 * time))).numpy())
    return pad_wavs(waves)


def test_unit_vectors_the_same_alone_and_in_a_batch(encoder) -> None:
    wav, lengths = babble(1.0, 2.3, 0.6)
    together = encoder.embed(wav, lengths)
    assert together.shape == (3, encoder.width)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(3))
    dirty = torch.cat([wav, torch.full((3, 500), 0.4)], dim=1)
    torch.testing.assert_close(encoder.embed(dirty, lengths), together)
    for row, length in enumerate(lengths.tolist()):
        alone = encoder.embed(wav[row : row + 1, :length], lengths[row : row + 1])
        torch.testing.assert_close(alone[0], together[row])


def test_nothing_to_hear_is_an_error(encoder) -> None:
    with pytest.raises(AudioError):
        encoder.embed(torch.zeros(1, 10), torch.tensor([0]))
    with pytest.raises(AudioError):
        encoder.embed(torch.full((1, 9000), torch.nan), torch.tensor([9000]))


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(WeightsError, match="hf download nowhere"):
        build("speaker-encoder", "wavlm-sv", {"model": "nowhere"})


@pytest.mark.speech
def test_resemblyzer_tells_recorded_voices_apart(speech: Path) -> None:
    encoder = build("speaker-encoder", "resemblyzer")
    paths = sorted((speech / "read_librispeech_train").glob("*.flac"))[:4]
    halves = [read_audio(path, duration=3.0) for path in paths]
    others = [read_audio(path, start=3.0, duration=3.0) for path in paths]
    first, second = (encoder.embed(*pad_wavs(waves)) for waves in (halves, others))
    similar = first @ second.T
    assert similar.diagonal().min() > (similar - torch.eye(4) * 9).max()
