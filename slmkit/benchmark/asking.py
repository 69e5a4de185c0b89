"""What a person asks of the benchmark, as a request. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slmkit.api import SlmkitError
from slmkit.benchmark.candidate import Candidate, candidates, chosen_part
from slmkit.benchmark.crew import cores
from slmkit.benchmark.measuring import Request
from slmkit.benchmark.protocol import changed, load_protocol
from slmkit.data.manifest import SUFFIXES
from slmkit.recipe.chosen import Chosen

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
    return asked(
        candidates(tokenizers),
        data,
        output,
        protocol,
        root,
        seeds,
        None if judge is None else chosen_part("transcriber", judge),
        None if voices is None else chosen_part("speaker-encoder", voices),
        None if vocoder is None else chosen_part("vocoder", vocoder),
        jobs,
    )


def asked(
    chosen: Sequence[Candidate],
    data: str,
    output: Path,
    protocol: str | None = None,
    root: Path | None = None,
    seeds: Sequence[int] | None = None,
    judge: Chosen | None = None,
    voices: Chosen | None = None,
    vocoder: Chosen | None = None,
    jobs: int | None = None,
) -> Request:
    """The same of parts that were chosen."""
    manifest = data.endswith(SUFFIXES)
    known = load_protocol(protocol or (OWN if manifest else data))
    if not manifest and data != known.name:
        raise SlmkitError(
            f"--data {data}: protocol '{known.name}' has data of its own, or takes a manifest "
            f"({' or '.join(SUFFIXES)})"
        )
    if seeds:
        if len(set(seeds)) < 2 or len(set(seeds)) < len(seeds):
            raise SlmkitError("--seed: give two or more, each once: of one no spread is known")
        known = changed(known, seeds=list(seeds))
    if vocoder is not None and all(each.chosen.can.decodes for each in chosen):
        raise SlmkitError(
            f"--vocoder {vocoder.name}: it speaks for tokenizers without a decoder, and each of "
            f"these has one: leave it out"
        )
    return Request(known, chosen, data, output, jobs or cores(), root, judge, voices, vocoder)
