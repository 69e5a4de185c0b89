"""fairseq's CodeHiFiGAN files: a config.json and a checkpoint {"generator": state}.

Facts of the layout: `upsample_*`, `resblock_*` and `dur_predictor_params` in the config; weight
norm's g and v in the state. A checkpoint is read with `weights_only=True`; no key may be missing,
unexpected or left unused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from slmkit.api import WeightsError
from slmkit.codecs.hifigan import HifiGanSizes, UnitHifiGan
from slmkit.codecs.weight_norm import convolution_weights, fold, unfold


def sizes_of_config(path: str | Path) -> HifiGanSizes:
    """The network's shape as a published config.json says it. Raises WeightsError."""
    try:
        config: dict[str, Any] = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: not a CodeHiFiGAN config.json: {error}") from None
    if config.get("f0") or config.get("style") or str(config.get("resblock", "1")) != "1":
        raise WeightsError(f"{path}: vocoders with pitch, style or resblock 2 are not supported")
    duration = config.get("dur_predictor_params") or {}
    voices = bool(config.get("multispkr"))
    embedder = int((config.get("embedder_params") or {}).get("embedder_dim", 256))
    by_embedding = voices and bool(config.get("embedder_params"))
    try:
        return HifiGanSizes(
            num_embeddings=config["num_embeddings"],
            embedding_dim=config["embedding_dim"],
            upsample_rates=tuple(config["upsample_rates"]),
            upsample_kernel_sizes=tuple(config["upsample_kernel_sizes"]),
            upsample_initial_channel=config["upsample_initial_channel"],
            resblock_kernel_sizes=tuple(config["resblock_kernel_sizes"]),
            resblock_dilation_sizes=tuple(tuple(d) for d in config["resblock_dilation_sizes"]),
            num_speakers=int(config.get("num_speakers", 200)) if voices and not by_embedding else 0,
            embedder_dim=embedder if by_embedding else 0,
            duration_hidden=duration.get("var_pred_hidden_dim", 128),
            duration_kernel=duration.get("var_pred_kernel_size", 3),
            duration_dropout=duration.get("var_pred_dropout", 0.5),
        )
    except KeyError as error:
        raise WeightsError(f"{path}: the config lacks {error}") from None


def load_generator(generator: UnitHifiGan, path: Path) -> None:
    """Load a checkpoint into a network of its shape. Raises WeightsError."""
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such checkpoint") from None
    except Exception as error:
        raise WeightsError(
            f"{path}: not a checkpoint that can be read without running code: "
            f"{str(error).splitlines()[0]}"
        ) from None
    if not isinstance(checkpoint, dict) or "generator" not in checkpoint:
        raise WeightsError(f"{path}: a CodeHiFiGAN checkpoint holds 'generator'")
    state = fold(checkpoint["generator"])
    due = generator.state_dict()
    missing, unexpected = sorted(due.keys() - state.keys()), sorted(state.keys() - due.keys())
    misshapen = [n for n in due.keys() & state.keys() if due[n].shape != state[n].shape]
    for what, names in (
        ("misses", missing),
        ("holds what the config does not name:", unexpected),
        ("holds in another shape", sorted(misshapen)),
    ):
        if names:
            listed = ", ".join(names[:5]) + (
                f" and {len(names) - 5} more" if len(names) > 5 else ""
            )
            raise WeightsError(f"{path}: the checkpoint {what} {listed}")
    generator.load_state_dict(state)


def save_generator(generator: UnitHifiGan, path: Path) -> None:
    """Write a network in fairseq's layout, which `load_generator` and fairseq read."""
    state = {name: tensor.detach().cpu() for name, tensor in generator.state_dict().items()}
    # the duration predictor's convolutions never had weight norm
    normed = {n for n in convolution_weights(generator) if not n.startswith("dur_predictor")}
    torch.save({"generator": unfold(state, normed)}, path)
