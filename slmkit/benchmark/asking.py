"""What a person asks of the benchmark, as a request. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slmkit.api import SlmkitError
from slmkit.benchmark.candidate import candidates, chosen_part
from slmkit.benchmark.crew import cores
from slmkit.benchmark.measuring import Request
from slmkit.benchmark.protocol import changed, load_protocol

OWN = "mini"
"""The protocol of a manifest, unless another is named."""


def ask(
    tokenizers: Sequence[str],
    data: str = OWN,
    output: Path = Path("slmtokbench"),
    protocol: str | None = None,
    root: Path | None = None,
    seeds: Sequence[int] | None = None,
    judge: str | None = None,
    voices: str | None = None,
    vocoder: str | None = None,
    jobs: int | None = None,
) -> Request:
    """The request for what stands on the command line. Raises SlmkitError for what cannot be."""
    manifest = Path(data).suffix in (".jsonl", ".gz")
    name = protocol or (OWN if manifest else data)
    known = load_protocol(name)
    if seeds:
        if len(set(seeds)) < 2 or len(set(seeds)) < len(seeds):
            raise SlmkitError("--seed: give two or more, each once: of one no spread is known")
        known = changed(known, seeds=list(seeds))
    return Request(
        protocol=known,
        candidates=candidates(tokenizers),
        data=data if manifest else name,
        output=output,
        jobs=jobs or cores(),
        root=root,
        judge=None if judge is None else chosen_part("transcriber", judge),
        voices=None if voices is None else chosen_part("speaker-encoder", voices),
        vocoder=None if vocoder is None else chosen_part("vocoder", vocoder),
    )
