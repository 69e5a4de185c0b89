"""Reads Llama-family models of Hugging Face: config.json and safetensors, one file or shards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from slmkit.api import WeightsError

PREFIX = "model."
INPUT, OUTPUT = "model.embed_tokens.weight", "lm_head.weight"


def folder_of(weights: str) -> Path:
    """The local folder of a model, downloaded where `weights` is a hub id. Raises WeightsError."""
    folder = Path(weights).expanduser()
    if folder.is_dir():
        return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(weights, allow_patterns=["*.safetensors", "config.json"]))
    except (HFValidationError, LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise WeightsError(
            f"'{weights}' is neither a folder nor a model that the hub gives: {reason}"
        ) from error


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a model. Raises WeightsError."""
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    except FileNotFoundError:
        raise WeightsError(f"{folder}: no config.json; is this a Hugging Face model?") from None
    except ValueError as error:
        raise WeightsError(f"{folder}/config.json is not JSON: {error}") from None
    return config


def load_into(model: nn.Module, folder: Path) -> None:
    """Fill a backbone, tensor by tensor. Raises WeightsError naming what is missing or too much."""
    wanted = model.state_dict()
    unexpected = []
    for name, tensor in read_tensors(folder, lambda name: name not in (INPUT, OUTPUT)):
        target = wanted.pop(name.removeprefix(PREFIX), None)
        if target is None:
            # Checkpoints of older transformers carry the rotary frequencies as a buffer.
            if not name.endswith("rotary_emb.inv_freq"):
                unexpected.append(name)
            continue
        if target.shape != tensor.shape:
            raise WeightsError(
                f"{folder}: '{name}' is {tuple(tensor.shape)}, config.json makes it "
                f"{tuple(target.shape)}"
            )
        target.copy_(tensor)
    if wanted or unexpected:
        faults = [f"missing {_some(wanted)}"] if wanted else []
        faults += [f"unexpected {_some(unexpected)}"] if unexpected else []
        raise WeightsError(f"{folder}: the weights do not fit config.json: {'; '.join(faults)}")


def read_embeddings(folder: Path) -> tuple[Tensor, Tensor]:
    """Rows [v, d], float32, of the input embedding and of the output projection; the same tensor
    where the model ties them. Raises WeightsError."""
    tables = dict(read_tensors(folder, lambda name: name in (INPUT, OUTPUT)))
    if INPUT not in tables:
        raise WeightsError(f"{folder}: '{INPUT}' is missing")
    rows = tables[INPUT].float()
    if read_config(folder).get("tie_word_embeddings", OUTPUT not in tables):
        return rows, rows
    if OUTPUT not in tables:
        raise WeightsError(f"{folder}: '{OUTPUT}' is missing, and config.json does not tie it")
    return rows, tables[OUTPUT].float()


def read_tensors(folder: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, Tensor]]:
    """The wanted tensors of all safetensors files of a model, one at a time."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise WeightsError(
            f"{folder}: no *.safetensors here; pickled weights are not read, convert them with "
            f"save_pretrained of transformers"
        )
    for file in files:
        try:
            with safe_open(file, framework="pt") as opened, torch.no_grad():
                for name in opened.keys():  # noqa: SIM118 (not a mapping)
                    if wanted(name):
                        yield name, opened.get_tensor(name)
        except Exception as error:
            if type(error).__name__ != "SafetensorError":
                raise
            raise WeightsError(f"{file} is broken or cut short: {error}") from error


def _some(names: Any, most: int = 3) -> str:
    listed = sorted(names)
    rest = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + rest
