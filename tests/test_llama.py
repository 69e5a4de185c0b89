"""The backbone llama: against transformers, step by step, from weights of others, and its parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from slmkit_llama.rope import Rotate, angles, turn
from torch.nn.functional import rms_norm, scaled_dot_product_attention
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from slmkit.api import OptionsError, WeightsError
from slmkit.codecs import cache
from slmkit.codecs.attention import plain_causal_attention
from slmkit.codecs.norm import RMSNorm
from slmkit.host import build

VOCABULARY = 13
SMALL = {"width": 32, "layers": 2, "heads": 4, "kv_heads": 2}
BASE: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "bos_token_id": 0, "eos_token_id": 0,
}  # fmt: skip
STRETCHED = {
    "rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0, "low_freq_factor": 1.0,
    "high_freq_factor": 4.0, "original_max_position_embeddings": 16,
}  # fmt: skip
FAMILY: dict[str, dict[str, Any]] = {
    "plain": {"model_type": "llama"},
    "grouped": {"model_type": "llama", "num_key_value_heads": 2},
    "one key head, tied": {
        "model_type": "llama", "num_key_value_heads": 1, "tie_word_embeddings": True,
    },
    "wide heads": {"model_type": "llama", "head_dim": 12, "rms_norm_eps": 1e-5},
    "biased": {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
    "stretched": {"model_type": "llama", "rope_parameters": STRETCHED},
    "mistral": {"model_type": "mistral", "num_key_value_heads": 2, "sliding_window": None},
    "qwen2": {"model_type": "qwen2", "num_key_value_heads": 2},
}  # fmt: skip


def save_theirs(folder: Path, **changes: Any) -> PreTrainedModel:
    """A model of transformers with random weights (biases and norms too), saved."""
    config = AutoConfig.for_model(**{**BASE, **changes})
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    model.save_pretrained(folder)
    return model


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("changes", FAMILY.values(), ids=FAMILY)
def test_logits_are_transformers(changes: dict[str, Any], tmp_path: Path) -> None:
    theirs = save_theirs(tmp_path, **changes)
    ours = build("backbone", "llama", {"weights": str(tmp_path)}).eval()
    rows_in, rows_out = ours.pretrained_embeddings()
    tokens = torch.randint(0, VOCABULARY, (3, 40))
    lengths = torch.tensor([40, 17, 1])
    with torch.no_grad():
        found = ours(rows_in[tokens]) @ rows_out.T
        mask = (torch.arange(40) < lengths[:, None]).long()
        expected = theirs(tokens, attention_mask=mask).logits
        stepped, state = ours.step(rows_in[tokens[:, :20]], ours.empty_state(3, 40))
        for step in range(20, 40):
            hidden, state = ours.step(rows_in[tokens[:, step : step + 1]], state)
            stepped = torch.cat((stepped, hidden), dim=1)
        for row, length in enumerate(lengths.tolist()):
            torch.testing.assert_close(
                found[row, :length], expected[row, :length], atol=1e-5, rtol=1e-5
            )
        torch.testing.assert_close(stepped @ rows_out.T, found, atol=2e-5, rtol=1e-4)


def test_gradients_are_transformers(tmp_path: Path) -> None:
    theirs = save_theirs(tmp_path, **FAMILY["grouped"])
    ours = build("backbone", "llama", {"weights": str(tmp_path)})
    x = torch.randn(2, 9, 32)
    aim = torch.randn(2, 9, 32)
    (theirs.model(inputs_embeds=x).last_hidden_state * aim).sum().backward()
    (ours(x) * aim).sum().backward()
    expected = dict(theirs.model.named_parameters())
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name].grad, atol=1e-4, rtol=1e-3)


def test_rows_go_on_from_different_places_in_chunks_of_any_size() -> None:
    torch.manual_seed(0)
    ours = build("backbone", "llama", SMALL).eval()
    x = torch.randn(3, 14, 32)
    with torch.no_grad():
        whole = ours(x)
    state, at = ours.empty_state(3, 14), [0, 0, 0]
    for takes in ([5, 1, 0], [0, 4, 7], [1, 1, 1], [8, 8, 6]):
        chunk = torch.full((3, max(takes), 32), 1e4)
        for row, count in enumerate(takes):
            chunk[row, :count] = x[row, at[row] : at[row] + count]
        hidden, state = ours.step(chunk, state, torch.tensor(takes))
        for row, count in enumerate(takes):
            expected = whole[row, at[row] : at[row] + count]
            torch.testing.assert_close(hidden[row, :count], expected, atol=1e-5, rtol=1e-4)
            at[row] += count
    assert at == state["position"].tolist() == [14, 14, 14]


def test_a_state_can_be_cloned_and_its_rows_reordered() -> None:
    torch.manual_seed(0)
    ours = build("backbone", "llama", SMALL).eval()
    x = torch.randn(2, 6, 32)
    _, state = ours.step(x[:, :4], ours.empty_state(2, 8), torch.tensor([4, 2]))
    kept, beams = cache.clone(state), cache.select(state, torch.tensor([1, 1, 0]))
    expected, state = ours.step(x[:, 4:], state)
    torch.testing.assert_close(ours.step(x[:, 4:], kept)[0], expected)
    swapped, beams = ours.step(x[[1, 1, 0], 4:], beams)
    torch.testing.assert_close(swapped, expected[[1, 1, 0]], atol=1e-6, rtol=1e-5)
    assert beams["position"].tolist() == [4, 4, 6]


def test_a_state_has_an_end_that_no_padding_reaches() -> None:
    ours = build("backbone", "llama", SMALL).eval()
    x = torch.randn(2, 4, 32)
    _, state = ours.step(x, ours.empty_state(2, 4), torch.tensor([4, 1]))
    _, state = ours.step(x, state, torch.tensor([0, 3]))
    with pytest.raises(IndexError, match="holds 4 steps"):
        ours.step(x[:, :1], state)


def test_the_future_never_changes_the_past() -> None:
    ours = build("backbone", "llama", SMALL)
    x = torch.randn(1, 8, 32, requires_grad=True)
    ours(x)[0, 3].square().sum().backward()
    assert x.grad[0, :4].abs().sum(dim=-1).all()
    assert not x.grad[0, 4:].any()


def test_lora_attaches_and_only_adapters_learn() -> None:
    from peft import LoraConfig, inject_adapter_in_model

    ours = build("backbone", "llama", SMALL)
    x = torch.randn(2, 5, 32)
    before = ours(x)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj"]
    ours = inject_adapter_in_model(LoraConfig(r=2, target_modules=targets), ours)
    torch.testing.assert_close(ours(x), before)
    ours(x).sum().backward()
    learnt = {name for name, parameter in ours.named_parameters() if parameter.requires_grad}
    assert len(learnt) == 2 * 4 * 2
    assert all("lora" in name for name in learnt)


def test_dropout_acts_in_training_alone() -> None:
    ours = build("backbone", "llama", {**SMALL, "dropout": 0.5})
    x = torch.randn(1, 5, 32)
    assert not torch.equal(ours(x), ours(x))
    ours.eval()
    torch.testing.assert_close(ours(x), ours(x))


def test_bfloat16_autocast_stays_near_float32() -> None:
    torch.manual_seed(0)
    ours = build("backbone", "llama", SMALL)
    x, aim = torch.randn(2, 12, 32), torch.randn(2, 12, 32)
    expected = ours(x)
    (expected * aim).sum().backward()
    gradients = {name: p.grad.clone() for name, p in ours.named_parameters()}
    ours.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        found = ours(x)
    (found.float() * aim).sum().backward()
    assert (found - expected).norm() < 0.02 * expected.norm()
    for name, parameter in ours.named_parameters():
        assert (parameter.grad - gradients[name]).norm() < 0.05 * gradients[name].norm(), name


def test_attention_spelt_out_is_pytorchs() -> None:
    q, k, v = (torch.randn(2, 3, 7, 8, requires_grad=True) for _ in range(3))
    aim = torch.randn(2, 3, 7, 8)
    results = []
    for attend in (
        plain_causal_attention,
        lambda q, k, v: scaled_dot_product_attention(q, k, v, is_causal=True),
    ):
        mixed = attend(q, k, v)
        results.append([mixed, *torch.autograd.grad((mixed * aim).sum(), (q, k, v))])
    torch.testing.assert_close(results[0], results[1], atol=1e-5, rtol=1e-4)


def test_rotation_and_norm_have_the_right_gradients() -> None:
    torch.manual_seed(0)
    cos, sin = angles(torch.arange(5), torch.tensor([1.0, 0.1]))
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(Rotate.apply, (x, cos.double(), sin.double()))
    turned = turn(x.detach(), cos, sin)
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1).detach())
    norm = RMSNorm(6, eps=1e-3)
    torch.nn.init.normal_(norm.weight)
    y, aim = torch.randn(4, 6, requires_grad=True), torch.randn(4, 6)
    found = torch.autograd.grad((norm(y) * aim).sum(), (y, norm.weight))
    plain = (rms_norm(y, (6,), norm.weight, 1e-3) * aim).sum()
    torch.testing.assert_close(found, torch.autograd.grad(plain, (y, norm.weight)))


def test_shards_load_and_a_save_comes_back(tmp_path: Path) -> None:
    theirs = save_theirs(tmp_path / "whole", **FAMILY["grouped"])
    theirs.save_pretrained(tmp_path / "shards", max_shard_size="8KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    x = torch.randn(1, 5, 32)
    ours = build("backbone", "llama", {"weights": str(tmp_path / "shards")})
    whole = build("backbone", "llama", {"weights": str(tmp_path / "whole")})
    torch.testing.assert_close(ours(x), whole(x))
    ours.save(tmp_path / "saved")
    same = {"width": 32, "layers": 2, "heads": 4, "kv_heads": 2, "hidden": 48, "norm_eps": 1e-6}
    again = build("backbone", "llama", same)
    again.restore(tmp_path / "saved")
    torch.testing.assert_close(again(x), ours(x))


def test_half_precision_weights_are_read_as_float32(tmp_path: Path) -> None:
    save_theirs(tmp_path, model_type="llama").to(torch.bfloat16).save_pretrained(tmp_path)
    ours = build("backbone", "llama", {"weights": str(tmp_path)})
    assert {p.dtype for p in ours.parameters()} == {torch.float32}
    assert ours.pretrained_embeddings()[0].dtype == torch.float32


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"model_type": "gpt2"}, "'gpt2' is not of the Llama family"),
        ({"hidden_act": "gelu"}, "activation 'gelu'"),
        ({"sliding_window": 8}, "sliding window of 8"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 2.0}}, "rope scaling 'yarn'"),
        ({"intermediate_size": 50}, r"is \(.*48.*\), config.json makes it \(.*50.*\)"),
        ({"num_hidden_layers": 3}, "missing layers.2"),
        ({"num_hidden_layers": 1}, "unexpected model.layers.1"),
        ({"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "partially"),
    ],
)
def test_what_we_do_not_compute_is_refused(
    changes: dict[str, Any], fault: str, tmp_path: Path
) -> None:
    save_theirs(tmp_path, model_type="llama")
    change_config(tmp_path, **changes)
    with pytest.raises(WeightsError, match=fault) as refused:
        build("backbone", "llama", {"weights": str(tmp_path)})
    assert "\n" not in str(refused.value)


def test_other_sizes_than_the_weights_are_refused(tmp_path: Path) -> None:
    save_theirs(tmp_path, model_type="llama")
    with pytest.raises(WeightsError, match="have width 32, the recipe asks for 64"):
        build("backbone", "llama", {"weights": str(tmp_path), "width": 64})
    build("backbone", "llama", {"weights": str(tmp_path), "width": 32})


def test_broken_and_absent_files_are_refused(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    save_theirs(tmp_path, model_type="llama")
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    options = {"weights": str(tmp_path)}
    del tensors["lm_head.weight"]
    save_file(tensors, file)
    with pytest.raises(WeightsError, match=r"'lm_head.weight' is missing"):
        build("backbone", "llama", options).pretrained_embeddings()
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="broken or cut short"):
        build("backbone", "llama", options)
    file.rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(WeightsError, match="pickled weights are not read"):
        build("backbone", "llama", options)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(WeightsError, match="is not JSON"):
        build("backbone", "llama", options)
    (tmp_path / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"no config\.json"):
        build("backbone", "llama", options)
    with pytest.raises(WeightsError, match="neither a folder nor a model"):
        build("backbone", "llama", {"weights": str(tmp_path / "nowhere")})


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(OptionsError, match="multiple of heads 3"):
        build("backbone", "llama", {"width": 32, "heads": 3})
    with pytest.raises(OptionsError, match="multiple of kv_heads 3"):
        build("backbone", "llama", {"width": 32, "heads": 4, "kv_heads": 3})


@pytest.mark.parametrize("takes", [[(1, 1)] * 6, [(3, 2), (1, 1), (1, 0), (1, 1), (2, 2), (1, 1)]])
def test_compiled_steps_are_the_same_and_compiled_once(takes: list[tuple[int, int]]) -> None:
    torch.manual_seed(0)
    ours = build("backbone", "llama", {**SMALL, "kv_heads": 2}).eval()
    x = torch.randn(2, 12, 32)
    plain, state = [], ours.empty_state(2, 12)
    for taken in takes:
        hidden, state = ours.step(x[:, : max(taken)], state, torch.tensor(taken))
        plain.append(hidden)
    frames: list[int] = []

    def counted(graph: torch.fx.GraphModule, _: object) -> Callable[..., object]:
        frames.append(len(graph.graph.nodes))
        return graph.forward

    ours._compiled = torch.compile(ours._one, backend=counted, fullgraph=True)
    state = ours.empty_state(2, 12)
    for taken, expected in zip(takes, plain, strict=True):
        hidden, state = ours.step(x[:, : max(taken)], state, torch.tensor(taken))
        for row, count in enumerate(taken):
            torch.testing.assert_close(hidden[row, :count], expected[row, :count])
    assert len(frames) == 1, "all steps have one shape"
    assert state["position"].tolist() == [sum(column) for column in zip(*takes, strict=True)]
