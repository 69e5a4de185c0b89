"""The lean Llama backbone."""

import math
from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option


@dataclass(frozen=True)
class LlamaOptions:
    """Sizes left out come from `weights`, or else are the small defaults named in the help."""

    width: int | None = option(None, "width of the hidden state (256)")
    layers: int | None = option(None, "number of layers (4)")
    heads: int | None = option(None, "attention heads of a layer (4)")
    kv_heads: int | None = option(None, "heads of keys and values (as many as heads)")
    hidden: int | None = option(None, "width inside SwiGLU (8/3 of width, up to a multiple of 64)")
    rope_theta: float | None = option(None, "base of the rotary frequencies (10000)")
    norm_eps: float | None = option(None, "epsilon of RMSNorm (1e-5)")
    dropout: float = option(0.0, "of what attention and SwiGLU add, while training")
    text_stride: float = option(
        0.0,
        "places from a symbol of given text to the next, numbered apart from what follows; as "
        "many steps as one lasts, so that text and speech keep step (as in VoiceStar, Peng et al. "
        "2025). 0: one row of numbers, as in any Llama",
    )
    weights: str | None = option(
        None, "folder or hub id of a Llama, Mistral or Qwen2 model of Hugging Face (safetensors)"
    )

    def __post_init__(self) -> None:
        if not 0 <= self.text_stride < math.inf:
            raise ValueError("text_stride is a number of at least 0")


@hookimpl
def slmkit_backbones() -> list[Declaration]:
    return [
        Declaration(
            name="llama",
            summary="lean Llama: RoPE, RMSNorm, SwiGLU, grouped queries, preallocated cache",
            target="slmkit_llama.model:Llama",
            options=LlamaOptions,
            source="LLaMA (Touvron et al. 2023), Llama 3 (Grattafiori et al. 2024)",
            can=Can(streaming=True, causal=True),
        )
    ]
