"""The tokenizer `unit-bpe`, which wraps another one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slmkit.api import Can, Declaration, hookimpl, option, part_option


@dataclass
class UnitBpeOptions:
    """Whose units, and how they are merged."""

    inner: dict[str, Any] = part_option(
        "tokenizer",
        "mel-km",
        "the tokenizer of one codebook whose units are merged: {part: NAME, ...options}",
    )
    deduplicate: bool = option(True, "merge equal neighbours first")
    size: int = option(
        2000, "number of tokens, the units among them; no more than there are units: no pairs"
    )

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size {self.size} is not a number of tokens")


@hookimpl
def slmkit_tokenizers() -> list[Declaration]:
    return [
        Declaration(
            name="unit-bpe",
            summary="another tokenizer's units as a shorter sequence: merged, and in pairs by BPE",
            target="slmkit_units.unit_bpe:UnitBpe",
            options=UnitBpeOptions,
            can=Can(codebooks=1, deduplicated=True),
            source="BPE over units (Ren et al. 2022, Wu et al. 2023: wav2seq); GSLM's merging",
        )
    ]
