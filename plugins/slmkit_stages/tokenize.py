"""The stage `tokenize`: every utterance's codes into the token store."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from slmkit.api import (
    AudioError,
    DataError,
    StageContext,
    StageError,
    Tokenizer,
    UnknownNameError,
    Utterance,
)
from slmkit.data.audio import read_utterance
from slmkit.data.batches import pad_wavs
from slmkit.data.content import content_hash
from slmkit.data.manifest import load_manifest
from slmkit.data.store import StoredCodes, TokenStore
from slmkit_stages.plugin import TokenizeOptions
from slmkit_stages.prepare import MANIFEST


def tokenize(options: TokenizeOptions, context: StageContext) -> None:
    """Code what is not in the store yet. Sound that several utterances share is coded once.

    An utterance that cannot be read stops the stage, or is named, counted and left out.
    """
    if options.on_error not in ("stop", "skip"):
        raise UnknownNameError("on_error", options.on_error, ("stop", "skip"))
    tokenizer: Tokenizer = context.part("tokenizer")
    fitted = context.find("tokenizer")
    fingerprint = content_hash(fitted) if fitted else type(tokenizer).__name__
    spec = tokenizer.spec
    utterances = [u for u in load_manifest(context.read("manifest") / MANIFEST) if u.audio]
    if not utterances:
        raise DataError("the corpus has no audio to code")
    if options.deduplicate and spec.codebooks == 1:
        from dataclasses import replace

        spec = replace(spec, deduplicated=True)
    store = TokenStore.create(context.folder / "codes", spec, fingerprint)
    done = store.ids()
    left = [u for u in utterances if u.id not in done]
    skipped = 0
    with store.writer() as writer, context.progress("coding", len(utterances)) as progress:
        for some in batches(left, options.batch_seconds):
            rows, faulty = code(some, tokenizer, spec.deduplicated, options.on_error, context)
            for row in rows:
                writer.add(row)
            skipped += faulty
            done |= {row.id for row in rows}
            progress(len(done) + skipped)
    if skipped == len(left) and left:
        raise StageError("no utterance could be coded")
    if skipped:
        context.say(f"{skipped} of {len(utterances)} utterances were left out")


def code(
    utterances: list[Utterance],
    tokenizer: Tokenizer,
    deduplicate: bool,
    on_error: str,
    context: StageContext,
) -> tuple[list[StoredCodes], int]:
    """The rows of a batch of utterances, and how many could not be coded."""
    waves: dict[tuple[object, ...], np.ndarray] = {}
    faulty: set[str] = set()
    for utterance in utterances:
        place = place_of(utterance)
        if place in waves:
            continue
        try:
            waves[place] = read_utterance(utterance, tokenizer.spec.sample_rate)
        except AudioError as error:
            if on_error == "stop":
                raise
            context.say(f"left out {utterance.id}: {error}")
            faulty.add(utterance.id)
    if not waves:
        return [], len(faulty)
    codes = tokenizer.encode(*pad_wavs(list(waves.values())))
    if deduplicate:
        codes = codes.deduplicate()
    rows = {place: codes.row(index) for index, place in enumerate(waves)}
    coded = [u for u in utterances if place_of(u) in rows]
    return [StoredCodes.of(u, rows[place_of(u)]) for u in coded], len(utterances) - len(coded)


def place_of(utterance: Utterance) -> tuple[object, ...]:
    """Where an utterance's sound lies."""
    return (utterance.audio, utterance.start, utterance.duration)


def batches(utterances: list[Utterance], seconds: float) -> Iterator[list[Utterance]]:
    """Utterances of like length together; those that share a sound stay side by side."""
    ordered = sorted(utterances, key=lambda u: (u.duration or 0.0, str(u.audio), u.start))
    batch: list[Utterance] = []
    for utterance in ordered:
        longest = utterance.duration or 30.0
        if batch and longest * (len(batch) + 1) > seconds:
            yield batch
            batch = []
        batch.append(utterance)
    if batch:
        yield batch
