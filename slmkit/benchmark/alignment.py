"""How much text is in codes: a probe's word errors, and mutual information bounded by the probe.

For every seed one probe learns from texts and one from texts that were exchanged between
utterances: what the second finds in held-out pairs must be about nothing, else text reaches the
probe by another way than the codes. SLMTokBench (Zhang et al. 2024); vCLUB (Cheng et al. 2020).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from slmkit.api import DataError, Utterance
from slmkit.benchmark.coding import FlatCodes
from slmkit.benchmark.figures import Pair
from slmkit.benchmark.protocol import Alignment
from slmkit.benchmark.quiet import QuietContext
from slmkit.host import build
from slmkit.training.club import contributions, likelihoods_of
from slmkit.training.probe import Probe, ProbeTraining, Read, fit_probe, plain_text, repeats


def probe_once(
    codes: FlatCodes,
    subsets: Mapping[str, Sequence[Utterance]],
    books: Sequence[int],
    settings: Alignment,
    seed: int,
    shuffled: bool,
    folder: Path,
) -> dict[str, dict[str, Pair]]:
    """One training: the items of mutual information and of word errors. A broken one goes on from
    its checkpoint in `folder`. Raises DataError for data without texts."""
    train, dev, informed, test = (
        reads(codes, subsets[name], books) for name in ("train", "dev", "information", "test")
    )
    if not train or not informed or not test:
        raise DataError("text alignment needs texts in the training and the test utterances")
    if shuffled:
        train, dev = exchanged(train, seed), exchanged(dev, seed)
    torch.manual_seed(seed)
    sizes = [codes.spec.codebook_sizes[book] for book in books]
    alphabet = "".join(sorted({c for read in [*train, *dev] for c in read.text}))
    probe = Probe(sizes, alphabet, settings.width, repeats(codes.spec.frame_rate))
    training = ProbeTraining(settings.steps, settings.lr, settings.batch_frames)
    fit_probe(probe, train, dev if settings.choose else [], training, QuietContext(folder, seed))
    return {
        "mutual-information": information(probe, informed, settings),
        "probe-wer": word_errors(probe, test),
    }


def reads(codes: FlatCodes, utterances: Sequence[Utterance], books: Sequence[int]) -> list[Read]:
    """The utterances that have codes and a text, with views of some codebooks of their codes."""
    found = []
    for utterance in utterances:
        text = plain_text(utterance.text or "")
        if text and utterance.id in codes:
            seen: Any = codes.of(utterance.id, books)
            found.append(Read(utterance.id, seen, text))
    return found


def exchanged(some: Sequence[Read], seed: int) -> list[Read]:
    """Every utterance with the text of another one, drawn by the seed."""
    order = list(range(len(some)))
    random.Random(seed).shuffle(order)
    follower = dict(zip(order, [*order[1:], *order[:1]], strict=True))
    return [replace(read, text=some[follower[i]].text) for i, read in enumerate(some)]


def information(probe: Probe, some: Sequence[Read], settings: Alignment) -> dict[str, Pair]:
    """What each utterance adds to the bound, among the first of the sample that say different
    things. Raises DataError for fewer than two."""
    different = {read.text: read for read in reversed(some) if probe.fits(read)}
    chosen = sorted(different.values(), key=lambda read: some.index(read))[: settings.items]
    if len(chosen) < 2:
        raise DataError("mutual information needs two utterances or more that say different things")
    found = contributions(likelihoods_of(probe, chosen, settings.by_character))
    return {read.id: (float(nats), 1.0) for read, nats in zip(chosen, found, strict=True)}


def word_errors(probe: Probe, some: Sequence[Read]) -> dict[str, Pair]:
    """The errors in what the probe writes, and the words that it was to write."""
    wer, written = build("metric", "wer"), probe.write(some)
    return {read.id: wer.score(text, read.text) for read, text in zip(some, written, strict=True)}
