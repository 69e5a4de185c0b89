"""The stage `fit`: a tokenizer learns from the corpus."""

from __future__ import annotations

import random
from collections.abc import Iterator

import torch

from slmkit.api import DataError, StageContext, Utterance
from slmkit.data.audio import read_utterance
from slmkit.data.batches import pad_wavs
from slmkit.data.manifest import load_manifest
from slmkit_stages.plugin import FitOptions
from slmkit_stages.prepare import MANIFEST


def fit(options: FitOptions, context: StageContext) -> None:
    """Stream training audio through the part's `fit` and keep it. Raises DataError."""
    utterances = load_manifest(context.read("manifest") / MANIFEST)
    heard = [u for u in utterances if u.audio and u.split == "train"]
    if not heard:
        raise DataError("the corpus has no training audio to fit on")
    random.Random(options.seed).shuffle(heard)
    part = context.fresh(options.slot)
    part.fit(batches(heard[: options.utterances], options.batch, part.spec.sample_rate, context))
    context.keep(options.slot, part)


def batches(
    utterances: list[Utterance], size: int, sample_rate: int, context: StageContext
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """(wav, lengths) of the utterances, read as they are needed."""
    with context.progress("reading audio", len(utterances)) as progress:
        for start in range(0, len(utterances), size):
            some = utterances[start : start + size]
            yield pad_wavs([read_utterance(u, sample_rate) for u in some])
            progress(start + len(some))
