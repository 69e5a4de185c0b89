"""A plugin with one tokenizer, a codec small enough to be followed by hand; it imports no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from slmkit.api import Can, Declaration, hookimpl, option

HERE = Path(__file__).parent


@dataclass(frozen=True)
class StairsOptions:
    codebooks: int = option(3, "how often the rest is rounded")
    hop_length: int = option(40, "samples for a frame")
    pause: float = option(0.0, "seconds to wait for each batch; below 0 the process dies")
    weights: str | None = option(None, "a file whose content counts")

    def can(self, base: Can) -> Can:
        return replace(base, codebooks=self.codebooks, frame_rate=8000 / self.hop_length)


@hookimpl
def slmkit_tokenizers() -> list[Declaration]:
    return [
        Declaration(
            "stairs",
            "each frame's mean, rounded again and again",
            "toy_stairs:Stairs",
            StairsOptions,
            Can(sample_rate=8000, streaming=True, causal=True, decodes=True, semantic_first=True),
            licence="CC0-1.0",
        )
    ]


def outside(folder: Path) -> dict[str, str]:
    """The environment of a process that finds this plugin beside the built-in ones."""
    metadata = folder / "stairs-0.1.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: stairs\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text("[slmkit]\nstairs = toy_codec\n")
    paths = os.pathsep.join([str(HERE), str(folder)])
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
