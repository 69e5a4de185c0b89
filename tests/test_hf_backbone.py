"""The backbone hf: transformers models step by step, in rows of different lengths."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    OPTConfig,
    PretrainedConfig,
    Qwen2Config,
)

from slmkit.api import WeightsError
from slmkit.host import build

SIZES = {"vocab_size": 13, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
ROPE = {**SIZES, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
CONFIGS: dict[str, PretrainedConfig] = {
    "llama": LlamaConfig(**ROPE, num_attention_heads=2),
    "qwen2": Qwen2Config(**ROPE, num_attention_heads=2, num_key_value_heads=1),
    "gpt2": GPT2Config(**SIZES, n_embd=32, n_layer=2, n_head=2, n_positions=64),
    "opt": OPTConfig(**SIZES, hidden_size=32, ffn_dim=48, num_hidden_layers=2,
                     num_attention_heads=2,
                     max_position_embeddings=64, word_embed_proj_dim=32),
}  # fmt: skip


@pytest.fixture(params=CONFIGS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(CONFIGS[request.param]).save_pretrained(tmp_path)
    return tmp_path


def test_hidden_states_are_the_models_own(folder: Path) -> None:
    ours = build("backbone", "hf", {"model": str(folder)}).eval()
    theirs = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokens = torch.randint(0, 13, (2, 9))
    rows_in, rows_out = ours.pretrained_embeddings()
    with torch.no_grad():
        scores = ours(rows_in[tokens]) @ rows_out.T
        torch.testing.assert_close(scores, theirs(tokens).logits, atol=1e-5, rtol=1e-4)


def test_steps_of_rows_at_different_places_equal_the_whole(folder: Path) -> None:
    ours = build("backbone", "hf", {"model": str(folder)}).eval()
    torch.manual_seed(1)
    x = torch.randn(2, 9, 32)
    lengths = torch.tensor([3, 6])
    with torch.no_grad():
        whole = ours(x)
    first = torch.zeros(2, 6, 32)
    for row, length in enumerate(lengths.tolist()):
        first[row, :length] = x[row, :length]
    hidden, state = ours.step(first, ours.empty_state(2, 12), lengths)
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(hidden[row, :length], whole[row, :length], atol=1e-5, rtol=1e-4)
    kept = copy.deepcopy(state)
    for offset in range(3):
        now = torch.stack([x[0, 3 + offset], x[1, 6 + offset]])[:, None]
        hidden, state = ours.step(now, state)
        expected = torch.stack([whole[0, 3 + offset], whole[1, 6 + offset]])
        torch.testing.assert_close(hidden[:, 0], expected, atol=1e-5, rtol=1e-4)
    again, _ = ours.step(torch.stack([x[0, 3], x[1, 6]])[:, None], kept)
    torch.testing.assert_close(again[0, 0], whole[0, 3], atol=1e-5, rtol=1e-4)


def test_a_state_has_an_end_and_a_model_has_a_place(folder: Path, tmp_path: Path) -> None:
    ours = build("backbone", "hf", {"model": str(folder), "pretrained": False}).eval()
    assert ours.pretrained_embeddings() is None
    with pytest.raises(IndexError, match="state of 2 steps"):
        ours.step(torch.randn(1, 3, 32), ours.empty_state(1, 2))
    with pytest.raises(WeightsError, match="hf download"):
        build("backbone", "hf", {"model": str(tmp_path / "nowhere")})
