"""Any causal language model of transformers as a backbone."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option


@dataclass
class HfBackboneOptions:
    """Which model."""

    model: str = option(help="folder or hub id of a causal language model of transformers")
    pretrained: bool = option(True, "its weights; false: random ones of its config.json")
    dtype: str = option("float32", "of the weights: float32, bfloat16 or float16")
    gradient_checkpointing: bool = option(
        False, "compute activations again in the backward pass instead of keeping them"
    )


@hookimpl
def slmkit_backbones() -> list[Declaration]:
    return [
        Declaration(
            name="hf",
            summary="any causal language model of transformers that takes embeddings",
            target="slmkit_hf.backbone:HfBackbone",
            options=HfBackboneOptions,
            source="Hugging Face transformers; licence and terms are the model's",
            can=Can(streaming=True, causal=True),
        )
    ]
