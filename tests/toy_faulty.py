"""A plugin of tokenizers with faults, for the benchmark; it imports no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import toy_codec

from slmkit.api import Can, Declaration, hookimpl, option


@dataclass(frozen=True)
class FaultyOptions(toy_codec.StairsOptions):
    how: str = option("nan", "nan, long, raise, silent")


@hookimpl
def slmkit_tokenizers() -> list[Declaration]:
    return [
        Declaration(
            "faulty",
            "one of several faults",
            "toy_faults:Faulty",
            FaultyOptions,
            Can(sample_rate=8000, decodes=True),
        )
    ]


def outside(folder: Path) -> dict[str, str]:
    """The environment of a process that finds these beside `stairs` and the built-in ones."""
    environment = toy_codec.outside(folder)
    metadata = folder / "faulty-0.1.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text("[slmkit]\nfaulty = toy_faulty\n")
    return {**environment, "SLMKIT_DEBUG": os.environ.get("SLMKIT_DEBUG", "0")}
