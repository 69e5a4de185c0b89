"""SpeechTokenizer's config.json.

The published ones hold much that only training asks for; of it nothing is read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmkit.api import WeightsError
from slmkit.codecs.seanet import SeanetSizes


@dataclass(frozen=True)
class Config:
    """What of a config makes the network.

    Attributes:
        sizes: of encoder and decoder.
        codebooks, entries: how many, and how large each is.
        sample_rate: Hz.
    """

    sizes: SeanetSizes
    codebooks: int
    entries: int
    sample_rate: int


PUBLISHED_CONFIG = Config(
    SeanetSizes(width=1024, filters=64, from_both_sides=True, causal=False), 8, 1024, 16000
)


def read_config(path: Path) -> Config:
    """The network of a config.json. Raises WeightsError, which names every fault at once."""
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: not a config.json of SpeechTokenizer: {error}") from None
    if not isinstance(values, dict):
        raise WeightsError(f"{path}: not a config.json of SpeechTokenizer: it holds no object")
    faults: list[str] = []
    numbers = {name: _number(values, name, faults) for name in NUMBERS}
    ratios = values.get("strides")
    if not isinstance(ratios, list) or not ratios or not all(map(_positive, ratios)):
        faults.append(f"strides is {ratios!r}, not a list of whole numbers")
    if values.get("activation", "ELU") not in {"ELU", "Snake"}:
        faults.append(f"activation is {values['activation']!r}, neither ELU nor Snake")
    if faults:
        raise WeightsError(f"{path}: {'; '.join(faults)}")
    sizes = SeanetSizes(
        width=numbers["dimension"],
        filters=numbers["n_filters"],
        ratios=tuple(values["strides"]),
        blocks=numbers["n_residual_layers"],
        block_kernel=numbers["residual_kernel_size"],
        dilation_base=numbers["dilation_base"],
        lstm_layers=numbers["lstm_layers"],
        from_both_sides=bool(values.get("bidirectional", False)),
        causal=False,
        snake=values.get("activation") == "Snake",
    )
    return Config(sizes, numbers["n_q"], numbers["codebook_size"], numbers["sample_rate"])


NUMBERS = (
    "n_filters",
    "dimension",
    "n_residual_layers",
    "residual_kernel_size",
    "dilation_base",
    "lstm_layers",
    "n_q",
    "codebook_size",
    "sample_rate",
)


def _number(values: dict[str, Any], name: str, faults: list[str]) -> int:
    value = values.get(name)
    if not _positive(value):
        known = name in values
        faults.append(f"{name} is {value!r}, not a whole number" if known else f"lacks {name}")
        return 1
    return int(value)


def _positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
