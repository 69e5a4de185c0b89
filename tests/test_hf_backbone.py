"""The backbone hf: transformers models step by step, in rows of different lengths."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    OPTConfig,
    PretrainedConfig,
    Qwen2Config,
)

from slmkit.api import MisfitError, OptionsError, WeightsError
from slmkit.codecs import cache
from slmkit.host import build

SIZES = {"vocab_size": 13, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
ROPE = {**SIZES, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
GROUPED = {**ROPE, "num_attention_heads": 4, "num_key_value_heads": 2}
ONE_OF_EACH = ["sliding_attention", "full_attention"]
CONFIGS: dict[str, PretrainedConfig] = {
    "llama": LlamaConfig(**ROPE, num_attention_heads=2),
    "qwen2": Qwen2Config(**GROUPED),
    "gpt2": GPT2Config(**SIZES, n_embd=32, n_layer=2, n_head=2, n_positions=12),
    "opt": OPTConfig(**SIZES, hidden_size=48, ffn_dim=48, num_hidden_layers=2,
                     num_attention_heads=2, max_position_embeddings=12, word_embed_proj_dim=32),
    "neox": GPTNeoXConfig(**ROPE, num_attention_heads=2),
    "mistral": MistralConfig(**GROUPED, sliding_window=3),
    "gemma3": Gemma3TextConfig(**GROUPED, head_dim=8, sliding_window=3, layer_types=ONE_OF_EACH),
}  # fmt: skip
MISFITS: dict[str, PretrainedConfig] = {
    "mamba": MambaConfig(**SIZES, hidden_size=32, num_hidden_layers=2),
    "bloom": BloomConfig(**SIZES, hidden_size=32, n_layer=2, n_head=2),
}


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


@pytest.mark.parametrize("chunks", [([3, 6], [1, 1], [5, 2]), ([5, 1, 0], [0, 4, 7], [4, 4, 2])])
def test_steps_of_rows_at_different_places_equal_the_whole(
    folder: Path, chunks: tuple[list[int], ...]
) -> None:
    ours = build("backbone", "hf", {"model": str(folder)}).eval()
    torch.manual_seed(1)
    rows = len(chunks[0])
    x = torch.randn(rows, 9, 32)
    with torch.no_grad():
        whole = ours(x)
    state, at = ours.empty_state(rows, 9), [0] * rows
    for takes in chunks:
        chunk = torch.full((rows, max(takes), 32), 9.0)
        for row, count in enumerate(takes):
            chunk[row, :count] = x[row, at[row] : at[row] + count]
        kept = cache.clone(state)
        hidden, state = ours.step(chunk, state, torch.tensor(takes))
        again, _ = ours.step(chunk, kept, torch.tensor(takes))
        for row, count in enumerate(takes):
            expected = whole[row, at[row] : at[row] + count]
            torch.testing.assert_close(hidden[row, :count], expected, atol=1e-5, rtol=1e-4)
            torch.testing.assert_close(again[row, :count], hidden[row, :count])
            at[row] += count
    assert at == [9] * rows


def test_a_row_alone_equals_itself_in_a_batch(folder: Path) -> None:
    ours = build("backbone", "hf", {"model": str(folder)}).eval()
    torch.manual_seed(1)
    x = torch.randn(2, 9, 32)
    with torch.no_grad():
        together, alone = ours(x), ours(x[1:, :6])
    torch.testing.assert_close(alone[0], together[1, :6], atol=1e-5, rtol=1e-4)


def test_examples_in_one_row_do_not_see_each_other(folder: Path) -> None:
    ours = build("backbone", "hf", {"model": str(folder)}).eval()
    torch.manual_seed(1)
    lengths = (6, 2, 1, 3)
    x = torch.randn(1, sum(lengths), 32, requires_grad=True)
    positions = torch.cat([torch.arange(n) for n in lengths])[None]
    packed = ours(x, positions)
    alone = torch.cat([ours(part) for part in x.split(lengths, dim=1)], dim=1)
    torch.testing.assert_close(packed, alone, atol=1e-5, rtol=1e-4)
    (gradient,) = torch.autograd.grad(packed[:, 6:8].square().sum(), x)
    seen = gradient.abs().sum(dim=-1)[0] > 0
    assert seen.nonzero()[:, 0].tolist() == [6, 7]
    assert (ours(x) - alone).abs().max() > 1e-3, "the control: without positions they do"
    with torch.autocast("cpu", torch.bfloat16):
        half = ours(x, positions)
    assert (half - alone).norm() < 0.05 * alone.norm()


def test_a_model_that_cannot_keep_examples_apart_is_refused(tmp_path: Path) -> None:
    AutoModelForCausalLM.from_config(MISFITS["bloom"]).save_pretrained(tmp_path)
    ours = build("backbone", "hf", {"model": str(tmp_path)})
    with pytest.raises(MisfitError, match=r"'bloom'.*leave out packing") as refused:
        ours(torch.randn(1, 4, 32), torch.tensor([[0, 1, 0, 1]]))
    assert "\n" not in str(refused.value)


def test_a_state_has_an_end_and_a_model_has_a_place(folder: Path, tmp_path: Path) -> None:
    ours = build("backbone", "hf", {"model": str(folder), "pretrained": False}).eval()
    assert ours.pretrained_embeddings() is None
    with pytest.raises(IndexError, match="holds 2 steps"):
        ours.step(torch.randn(1, 3, 32), ours.empty_state(1, 2))
    with pytest.raises(WeightsError, match="hf download"):
        build("backbone", "hf", {"model": str(tmp_path / "nowhere")})


@pytest.mark.parametrize("name", MISFITS)
def test_models_that_cannot_be_followed_are_refused(name: str, tmp_path: Path) -> None:
    AutoModelForCausalLM.from_config(MISFITS[name]).save_pretrained(tmp_path)
    with pytest.raises(MisfitError, match=f"'{name}'.*plain attention"):
        build("backbone", "hf", {"model": str(tmp_path)}).empty_state(1, 1)


def test_capped_scores_are_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = Gemma2Config(**GROUPED, head_dim=8, final_logit_softcapping=1e-3)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(MisfitError, match="more than a projection"):
        build("backbone", "hf", {"model": str(tmp_path)})
    build("backbone", "hf", {"model": str(tmp_path), "pretrained": False})


def test_half_precision_and_checkpointing_change_the_cost_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(CONFIGS["qwen2"]).save_pretrained(tmp_path)
    options = {"model": str(tmp_path)}
    plain = build("backbone", "hf", options).train()
    frugal = build("backbone", "hf", {**options, "gradient_checkpointing": True}).train()
    asked = build("backbone", "hf", options).train()
    asked.checkpoint_layers()
    half = build("backbone", "hf", {**options, "dtype": "bfloat16"}).eval()
    x = torch.randn(2, 5, 32)
    kept = {}
    for part in (plain, frugal, asked):
        kept[part] = 0

        def count(tensor: torch.Tensor, part: torch.nn.Module = part) -> torch.Tensor:
            kept[part] += tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            loss = part(x).square().sum()
        loss.backward()
    assert kept[frugal] == kept[asked] < 0.5 * kept[plain]
    for part in (frugal, asked):
        for ours, theirs in zip(part.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, theirs.grad)
    hidden, state = half.step(x, half.empty_state(2, 5))
    assert state["layers"]["0"]["keys"].dtype == torch.bfloat16
    assert hidden.dtype == torch.float32
    assert (hidden - plain(x)).norm() < 0.05 * hidden.norm()
    with pytest.raises(OptionsError, match="dtype 'int8'"):
        build("backbone", "hf", {**options, "dtype": "int8"})
