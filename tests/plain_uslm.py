"""USLM computed anew from its published state alone: one utterance, nothing cached, head by head.

For the tests that hold the backbone `valle` and the refiner `valle-nar` to it. Letters: d (width),
l (step), t (frame), k (codebook).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

State = dict[str, Tensor]
WIDTH, LAYERS, HIDDEN, WORDS, CODES, BOOKS = 32, 2, 128, 24, 10, 8


def random_state(bos: bool, seed: int = 0, words: int = WORDS) -> State:
    """A state of tiny sizes under the published names; tied where the published one is."""
    draw = torch.Generator().manual_seed(seed)

    def some(*shape: int, scale: float = 0.4) -> Tensor:
        return torch.randn(*shape, generator=draw) * scale

    row = "word_embeddings.weight"
    state = {
        f"ar_text_embedding.{row}": some(words, WIDTH),
        f"nar_text_embedding.{row}": some(words, WIDTH),
        f"ar_audio_embedding.{row}": some(CODES + 1 + bos, WIDTH),
        "ar_text_position.alpha": torch.tensor([0.7]),
        "ar_audio_position.alpha": torch.tensor([1.3]),
        "nar_text_position.alpha": torch.ones(1),
        "nar_audio_position.alpha": torch.ones(1),
        "ar_predict_layer.weight": some(CODES + 1, WIDTH),
    }
    for book in range(BOOKS):
        state[f"nar_audio_embeddings.{book}.{row}"] = some(CODES + (book == 0), WIDTH)
    for stage in range(BOOKS - 1):
        state[f"nar_stage_embeddings.{stage}.{row}"] = some(1, WIDTH)
        tied = state.get(f"nar_audio_embeddings.{stage + 2}.{row}")
        state[f"nar_predict_layers.{stage}.weight"] = some(CODES, WIDTH) if tied is None else tied
    for which in ("ar", "nar"):
        for layer in range(LAYERS):
            place = f"{which}_decoder.layers.{layer}"
            for name, out, into in (
                ("self_attn.in_proj_", 3 * WIDTH, WIDTH),
                ("self_attn.out_proj.", WIDTH, WIDTH),
                ("linear1.", HIDDEN, WIDTH),
                ("linear2.", WIDTH, HIDDEN),
            ):
                state[f"{place}.{name}weight"] = some(out, into, scale=1 / math.sqrt(into))
                state[f"{place}.{name}bias"] = some(out)
            norms = [f"{place}.norm1", f"{place}.norm2"]
            if layer == 0:
                norms.append(f"{which}_decoder.norm")
            for norm in norms:
                inner = norm if which == "ar" else f"{norm}.norm"
                state[f"{inner}.weight"], state[f"{inner}.bias"] = 1 + some(WIDTH), some(WIDTH)
                if which == "nar":
                    state[f"{norm}.project_layer.weight"] = some(2 * WIDTH, WIDTH)
                    state[f"{norm}.project_layer.bias"] = some(2 * WIDTH)
    return state


def placed(x: Tensor, alpha: Tensor) -> Tensor:
    """Steps [l, d] with sine and cosine of their place, by turns."""
    length, width = x.shape
    waves = torch.zeros(length, width, dtype=torch.float64)
    for place in range(length):
        for pair in range(width // 2):
            angle = place / 10000 ** (2 * pair / width)
            waves[place, 2 * pair], waves[place, 2 * pair + 1] = math.sin(angle), math.cos(angle)
    return x + alpha * waves.float()


def transformer(
    state: State, which: str, x: Tensor, seen: Tensor, heads: int, told: Tensor | None = None
) -> Tensor:
    """Steps [l, d] through all layers; `told` [d] is the stage's embedding."""

    def normed(x: Tensor, name: str) -> Tensor:
        if told is None:
            return layer_norm(x, (WIDTH,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-5)
        inner = (state[f"{name}.norm.weight"], state[f"{name}.norm.bias"])
        both = state[f"{name}.project_layer.weight"] @ told + state[f"{name}.project_layer.bias"]
        return both[:WIDTH] * layer_norm(x, (WIDTH,), *inner, 1e-5) + both[WIDTH:]

    width = WIDTH // heads
    for layer in range(LAYERS):
        place = f"{which}_decoder.layers.{layer}"
        weight, bias = (state[f"{place}.self_attn.in_proj_{kind}"] for kind in ("weight", "bias"))
        into = normed(x, f"{place}.norm1")
        queries, keys, values = (into @ weight.T + bias).split(WIDTH, dim=-1)
        mixed = []
        for head in range(heads):
            own = slice(head * width, (head + 1) * width)
            scores = queries[:, own] @ keys[:, own].T / math.sqrt(width)
            scores[~seen] = -math.inf
            mixed.append(scores.softmax(dim=-1) @ values[:, own])
        out = torch.cat(mixed, dim=-1) @ state[f"{place}.self_attn.out_proj.weight"].T
        x = x + out + state[f"{place}.self_attn.out_proj.bias"]
        inner = normed(x, f"{place}.norm2") @ state[f"{place}.linear1.weight"].T
        inner = (inner + state[f"{place}.linear1.bias"]).clamp(min=0)
        x = x + inner @ state[f"{place}.linear2.weight"].T + state[f"{place}.linear2.bias"]
    return normed(x, f"{which}_decoder.norm")


def ar_logits(state: State, text: Tensor, codes: Tensor, bos: bool, heads: int) -> Tensor:
    """Scores [t, codes + 1] after each step of the first codebook's codes [t]; with `bos` also,
    first, of the first one."""
    audio = torch.cat([torch.tensor([CODES + 1]), codes]) if bos else codes
    words = state["ar_text_embedding.word_embeddings.weight"][text]
    sounds = state["ar_audio_embedding.word_embeddings.weight"][audio]
    x = torch.cat([
        placed(words, state["ar_text_position.alpha"]),
        placed(sounds, state["ar_audio_position.alpha"]),
    ])  # fmt: skip
    seen = torch.zeros(len(x), len(x), dtype=torch.bool)
    for step in range(len(x)):
        seen[step, : max(len(text), step + 1)] = True
    hidden = transformer(state, "ar", x, seen, heads)
    return hidden[len(text) :] @ state["ar_predict_layer.weight"].T


def nar_codes(
    state: State, text: Tensor, prompt: Tensor, coarse: Tensor, mode: int, heads: int
) -> tuple[Tensor, list[Tensor]]:
    """The codes [k, t] behind a prompt [k, p], and each stage's scores [t, codes]."""
    tables = [state[f"nar_audio_embeddings.{k}.word_embeddings.weight"] for k in range(BOOKS)]
    words = state["nar_text_embedding.word_embeddings.weight"][text]
    heard = prompt.shape[1]
    sounds = tables[0][torch.cat([prompt[0], coarse])]
    if mode:
        for book in range(1, BOOKS):
            sounds[:heard] = sounds[:heard] + tables[book][prompt[book]]
    found, scores = [coarse], []
    for stage in range(BOOKS - 1):
        x = torch.cat([placed(words, torch.ones(1)), placed(sounds, torch.ones(1))])
        all_ = torch.ones(len(x), len(x), dtype=torch.bool)
        told = state[f"nar_stage_embeddings.{stage}.word_embeddings.weight"][0]
        hidden = transformer(state, "nar", x, all_, heads, told)[len(text) + heard :]
        scores.append(hidden @ state[f"nar_predict_layers.{stage}.weight"].T)
        found.append(scores[-1].argmax(dim=-1))
        sounds = sounds.clone()
        sounds[heard:] += tables[stage + 1][found[-1]]
        if not mode:
            sounds[:heard] += tables[stage + 1][prompt[stage + 1]]
    return torch.stack(found), scores
