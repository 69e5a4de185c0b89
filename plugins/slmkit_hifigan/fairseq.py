"""fairseq's CodeHiFiGAN files: a config.json and a checkpoint {"generator": state}.

Facts of the layout: `upsample_*`, `resblock_*` and `dur_predictor_params` in the config; weight
norm's g and v in the state. No key may be missing, unexpected or left unused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from slmkit.api import WeightsError
from slmkit.codecs.hifigan import HifiGanSizes, UnitHifiGan
from slmkit.codecs.published import read_state
from slmkit.codecs.weight_norm import convolution_weights, fold, unfold

CONFIG = "config.json"
CHECKPOINT = "g_00000000"
SPEAKERS = "speakers"
"""Our own key in a config: the names of a table's rows, which fairseq leaves alone."""
LISTED = 5
"""So many names of each kind stand in an error; a wrong file has hundreds."""


def sizes_of_config(path: str | Path) -> HifiGanSizes:
    """The network's shape as a published config.json says it. Raises WeightsError."""
    try:
        config = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: not a CodeHiFiGAN config.json: {error}") from None
    if not isinstance(config, dict):
        raise WeightsError(f"{path}: not a CodeHiFiGAN config.json: it holds no object")
    if config.get("f0") or config.get("style") or str(config.get("resblock", "1")) != "1":
        raise WeightsError(f"{path}: vocoders with pitch, style or resblock 2 are not supported")
    try:
        sizes = _sizes(config)
        faults = sizes.faults()
    except KeyError as error:
        raise WeightsError(f"{path}: the config lacks {error}") from None
    except (TypeError, ValueError, AttributeError) as error:
        raise WeightsError(f"{path}: the config holds a value of the wrong type: {error}") from None
    taken = sizes.embedding_dim * (2 if sizes.speaks_in_voices else 1)
    if config.get("model_in_dim", taken) != taken:
        faults.append(
            f"model_in_dim is {config['model_in_dim']}, units and voice of this config make {taken}"
        )
    if faults:
        raise WeightsError(f"{path}: {'; '.join(faults)}")
    return sizes


def _sizes(config: dict[str, Any]) -> HifiGanSizes:
    duration = config.get("dur_predictor_params") or {}
    voices = bool(config.get("multispkr"))
    embedder = config.get("embedder_params") if voices else None
    return HifiGanSizes(
        num_embeddings=int(config["num_embeddings"]),
        embedding_dim=int(config["embedding_dim"]),
        upsample_rates=tuple(map(int, config["upsample_rates"])),
        upsample_kernel_sizes=tuple(map(int, config["upsample_kernel_sizes"])),
        upsample_initial_channel=int(config["upsample_initial_channel"]),
        resblock_kernel_sizes=tuple(map(int, config["resblock_kernel_sizes"])),
        resblock_dilation_sizes=tuple(
            tuple(map(int, dilations)) for dilations in config["resblock_dilation_sizes"]
        ),
        num_speakers=int(config.get("num_speakers", 200)) if voices and not embedder else 0,
        embedder_dim=int(embedder.get("embedder_dim", 256)) if embedder else 0,
        duration_hidden=int(duration.get("var_pred_hidden_dim", 128)),
        duration_kernel=int(duration.get("var_pred_kernel_size", 3)),
        duration_dropout=float(duration.get("var_pred_dropout", 0.5)),
    )


def speakers_of_config(path: str | Path) -> tuple[str, ...]:
    """The names of a table's rows, where a config that has been read holds them."""
    return tuple(map(str, json.loads(Path(path).read_text()).get(SPEAKERS, ())))


def config_of_sizes(sizes: HifiGanSizes, sample_rate: int) -> dict[str, Any]:
    """The inverse of `sizes_of_config`: what fairseq has to be told of a network."""
    config: dict[str, Any] = {
        "resblock": "1",
        "upsample_rates": list(sizes.upsample_rates),
        "upsample_kernel_sizes": list(sizes.upsample_kernel_sizes),
        "upsample_initial_channel": sizes.upsample_initial_channel,
        "resblock_kernel_sizes": list(sizes.resblock_kernel_sizes),
        "resblock_dilation_sizes": [list(d) for d in sizes.resblock_dilation_sizes],
        "num_embeddings": sizes.num_embeddings,
        "embedding_dim": sizes.embedding_dim,
        "model_in_dim": sizes.embedding_dim * (2 if sizes.speaks_in_voices else 1),
        "code_hop_size": sizes.hop_length,
        "sampling_rate": sample_rate,
        "dur_prediction_weight": 1.0,
        "dur_predictor_params": {
            "encoder_embed_dim": sizes.embedding_dim,
            "var_pred_hidden_dim": sizes.duration_hidden,
            "var_pred_kernel_size": sizes.duration_kernel,
            "var_pred_dropout": sizes.duration_dropout,
        },
    }
    if sizes.speaks_in_voices:
        config["multispkr"] = "from_input_file"
    if sizes.num_speakers:
        config["num_speakers"] = sizes.num_speakers
    if sizes.embedder_dim:
        config["embedder_params"] = {"embedder_dim": sizes.embedder_dim}
    return config


def load_generator(generator: UnitHifiGan, path: Path) -> None:
    """Load a checkpoint into a network of its shape. Raises WeightsError."""
    state = fold(read_state(path, under="generator"))
    due = generator.state_dict()
    misshapen = [n for n in due.keys() & state.keys() if due[n].shape != state[n].shape]
    faults = [
        f"{what} {_listed(names)}"
        for what, names in (
            ("misses", due.keys() - state.keys()),
            ("holds what this network does not use:", state.keys() - due.keys()),
            ("holds in another shape", misshapen),
        )
        if names
    ]
    if faults:
        raise WeightsError(f"{path}: the checkpoint {'; it '.join(faults)}")
    generator.load_state_dict(state)


def _listed(names: Any) -> str:
    names = sorted(names)
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def save_generator(generator: UnitHifiGan, path: Path) -> None:
    """Write a network in fairseq's layout, which `load_generator` and fairseq read."""
    state = {name: tensor.detach().cpu() for name, tensor in generator.state_dict().items()}
    # the duration predictor's convolutions never had weight norm
    normed = {n for n in convolution_weights(generator) if not n.startswith("dur_predictor")}
    torch.save({"generator": unfold(state, normed)}, path)
