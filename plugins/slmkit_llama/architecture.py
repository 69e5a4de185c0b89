"""The sizes of a Llama, from options or from the config.json of a Hugging Face model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slmkit.api import OptionsError, WeightsError
from slmkit_llama.plugin import LlamaOptions
from slmkit_llama.rope import Llama3Scaling, scaling_of


@dataclass(frozen=True)
class Architecture:
    """What decides the shapes and the arithmetic of the network.

    Attributes:
        width, layers, heads, kv_heads, hidden, rope_theta, norm_eps: as the options.
        head_width: of one head; most models have width / heads.
        rope_scaling: how the rotary frequencies were stretched for long contexts, or None.
        qkv_bias, output_bias, mlp_bias: whether these projections have a bias.
        longest: steps of the longest sequence that the weights were trained for, or None.
    """

    width: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 4
    hidden: int = 704
    head_width: int = 64
    rope_theta: float = 10000.0
    norm_eps: float = 1e-5
    rope_scaling: Llama3Scaling | None = None
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    longest: int | None = None


CHOSEN = ("width", "layers", "heads", "kv_heads", "hidden", "rope_theta", "norm_eps")
"""What options and config.json both say."""


def of_options(options: LlamaOptions) -> Architecture:
    """A network of our own. Raises OptionsError where the sizes do not divide."""
    width = options.width or Architecture.width
    heads = options.heads or Architecture.heads
    kv_heads = options.kv_heads or heads
    faults = []
    if width % heads or (width // heads) % 2:
        faults.append(f"backbone 'llama': width {width} must be an even multiple of heads {heads}")
    if heads % kv_heads:
        faults.append(f"backbone 'llama': heads {heads} must be a multiple of kv_heads {kv_heads}")
    if faults:
        raise OptionsError(faults)
    return Architecture(
        width=width,
        layers=options.layers or Architecture.layers,
        heads=heads,
        kv_heads=kv_heads,
        hidden=options.hidden or -(-width * 8 // (3 * 64)) * 64,
        head_width=width // heads,
        rope_theta=options.rope_theta or Architecture.rope_theta,
        norm_eps=options.norm_eps or Architecture.norm_eps,
    )


def of_config(config: Mapping[str, Any], options: LlamaOptions, where: str) -> Architecture:
    """The network of a config.json. Raises WeightsError where it is not one that we compute, or
    where an option says otherwise."""
    kind = config.get("model_type")
    if kind not in ("llama", "mistral", "qwen2"):
        raise WeightsError(
            f"{where}: model type '{kind}' is not of the Llama family (llama, mistral, qwen2); "
            f"try the backbone 'hf'"
        )
    _refuse_variants(config, where)
    heads = config["num_attention_heads"]
    rope = {"rope_theta": config.get("rope_theta"), **(config.get("rope_scaling") or {})}
    rope.update(config.get("rope_parameters") or {})
    biased = bool(config.get("attention_bias", False))
    found = Architecture(
        width=config["hidden_size"],
        layers=config["num_hidden_layers"],
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        hidden=config["intermediate_size"],
        head_width=config.get("head_dim") or config["hidden_size"] // heads,
        rope_theta=float(rope["rope_theta"] or Architecture.rope_theta),
        norm_eps=config["rms_norm_eps"],
        rope_scaling=scaling_of(rope, where),
        qkv_bias=biased or kind == "qwen2",
        output_bias=biased and kind != "qwen2",
        mlp_bias=bool(config.get("mlp_bias", False)),
        longest=config.get("max_position_embeddings"),
    )
    for name in CHOSEN:
        wanted, has = getattr(options, name), getattr(found, name)
        if wanted is not None and wanted != has:
            raise WeightsError(
                f"{where}: these weights have {name} {has}, the recipe asks for {wanted}; "
                f"leave '{name}' out to take theirs"
            )
    return found


def _refuse_variants(config: Mapping[str, Any], where: str) -> None:
    """Raise WeightsError for what changes the arithmetic and is not computed here."""
    sliding = config.get("sliding_window")
    if sliding is not None and config.get("use_sliding_window", True):
        raise WeightsError(
            f"{where}: attention over a sliding window of {sliding} steps is not supported; "
            f"try the backbone 'hf'"
        )
    activation = config.get("hidden_act", "silu")
    if activation != "silu":
        raise WeightsError(f"{where}: activation '{activation}' is not supported, only 'silu'")
