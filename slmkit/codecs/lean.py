"""Weights as they are shared: in half precision, and without what only training needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

AVERAGES = ("sums", "counts", "ready")
"""A `ResidualQuantizer`'s buffers beside its `entries`, by which these learn."""


def lean(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A module's state as it is shared; what half precision cannot hold stays as it is."""
    kept = {}
    for name, tensor in state.items():
        if _entries_beside(name) in state:
            continue
        fits = (
            tensor.is_floating_point() and float(tensor.abs().max()) < torch.finfo(torch.half).max
        )
        kept[name] = tensor.half() if fits else tensor
    return kept


def options_of(folder: Path) -> dict[str, Any]:
    """The options of the part that `slmkit export` wrote into a folder."""
    options: dict[str, Any] = json.loads((folder / "part.json").read_text())["options"]
    return options


def restore_lean(module: nn.Module, folder: Path) -> None:
    """Read `weights.safetensors`, lean or whole, into a module. What is lean learns on from its
    entries as if each had been used once."""
    from safetensors.torch import load_file

    state = load_file(folder / "weights.safetensors")
    for name, due in module.state_dict().items():
        entries = _entries_beside(name)
        if name not in state and entries in state:
            whole = state[entries].float()
            state[name] = whole if name.endswith("sums") else torch.ones_like(due)
    module.load_state_dict(state)


def _entries_beside(name: str) -> str:
    """The name of the entries that a quantizer's average belongs to; none for other tensors."""
    path, _, last = name.rpartition(".")
    return f"{path}.entries" if last in AVERAGES else ""
