"""The stage `tokenize`: every utterance's codes into the token store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

import numpy as np

from slmkit.api import (
    AudioError,
    Codes,
    DataError,
    StageContext,
    StageError,
    Tokenizer,
    UnknownNameError,
    Utterance,
)
from slmkit.data.audio import read_utterance
from slmkit.data.batches import pad_wavs
from slmkit.data.content import content_hash, hash_json
from slmkit.data.manifest import load_manifest
from slmkit.data.store import StoredCodes, TokenStore
from slmkit_stages.plugin import TokenizeOptions
from slmkit_stages.prepare import MANIFEST

Place = tuple[object, ...]
"""Where a sound lies: its file and the range of it."""


def tokenize(options: TokenizeOptions, context: StageContext) -> None:
    """Code what is not in the store yet. Sound that several utterances share is coded once.

    An utterance that cannot be read or coded stops the stage, or is named, counted and left out.
    """
    if options.on_error not in ("stop", "skip"):
        raise UnknownNameError("on_error", options.on_error, ("stop", "skip"))
    tokenizer: Tokenizer = context.part("tokenizer")
    merge = options.deduplicate and tokenizer.spec.codebooks == 1
    spec = replace(tokenizer.spec, deduplicated=merge or tokenizer.spec.deduplicated)
    utterances = [u for u in load_manifest(context.read("manifest") / MANIFEST) if u.audio]
    if not utterances:
        raise DataError("the corpus has no audio to code")
    store = TokenStore.create(context.folder / "codes", spec, fingerprint(tokenizer, context))
    done = store.ids()
    left = [u for u in utterances if u.id not in done]
    skipped = 0
    with store.writer() as writer, context.progress("coding", len(utterances)) as progress:
        for some in batches(left, options.batch_seconds):
            rows, faults = code(some, tokenizer, merge)
            for row in rows:
                writer.add(row)
            for id, fault in faults.items():
                if options.on_error == "stop":
                    raise AudioError(f"utterance '{id}': {fault}") from fault
                context.say(f"left out '{id}': {fault}")
            skipped += len(faults)
            done |= {row.id for row in rows}
            progress(len(done) + skipped)
    if not done:
        raise StageError("no utterance could be coded")
    if skipped:
        context.say(f"{skipped} of {len(utterances)} utterances were left out")


def fingerprint(tokenizer: Tokenizer, context: StageContext) -> str:
    """Of the files in which it was kept when it was fitted, else of its name and options."""
    fitted = context.find("tokenizer")
    if fitted is not None:
        return content_hash(fitted)
    origin = getattr(tokenizer, "origin", None)
    if origin is None:
        return type(tokenizer).__name__
    return f"{origin.shelved.name}-{hash_json(asdict(origin.options))}"


def code(
    utterances: list[Utterance], tokenizer: Tokenizer, merge: bool
) -> tuple[list[StoredCodes], dict[str, AudioError]]:
    """The rows of a batch of utterances, and for each that has none, by id, why."""
    waves: dict[Place, np.ndarray] = {}
    faults: dict[Place, AudioError] = {}
    for utterance in utterances:
        place = place_of(utterance)
        if place in waves or place in faults:
            continue
        try:
            waves[place] = read_utterance(utterance, tokenizer.spec.sample_rate)
        except AudioError as error:
            faults[place] = error
    codes = encode(waves, tokenizer, faults) if waves else {}
    if merge:
        codes = {place: found.deduplicate() for place, found in codes.items()}
    rows = [StoredCodes.of(u, codes[place_of(u)]) for u in utterances if place_of(u) in codes]
    return rows, {u.id: faults[place_of(u)] for u in utterances if place_of(u) in faults}


def encode(
    waves: dict[Place, np.ndarray], tokenizer: Tokenizer, faults: dict[Place, AudioError]
) -> dict[Place, Codes]:
    """The codes [1, k, t] of each wave. Where the tokenizer refuses a batch its waves go in one by
    one, so that only those are lost that it cannot code; they are added to `faults`."""
    try:
        together = tokenizer.encode(*pad_wavs(list(waves.values())))
    except AudioError as error:
        if len(waves) == 1:
            faults.update(dict.fromkeys(waves, error))
            return {}
        alone = [encode({place: wav}, tokenizer, faults) for place, wav in waves.items()]
        return {place: codes for each in alone for place, codes in each.items()}
    return {place: together.row(index) for index, place in enumerate(waves)}


def place_of(utterance: Utterance) -> Place:
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
