"""Sound to codes, a batch at a time: what the stage `tokenize` and `slmkit encode` share.

Letters: k (codebook), t (frame), n (sample).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch

from slmkit.api import AudioError, Codes, Tokenizer, Utterance
from slmkit.data.audio import Wave, probe, read_utterance, utterance_blocks
from slmkit.data.batches import pad_wavs
from slmkit.data.shards import StoredCodes

LONG_S = 30.0
"""Sound beyond this is coded alone, in blocks, as far as its tokenizer can."""

UNKNOWN_S = 30.0
"""What an utterance of unknown length is taken for when batches are made."""

Place = tuple[object, ...]
"""Where a sound lies: its file, the range of it, and the channel."""


def code(
    utterances: Sequence[Utterance],
    tokenizer: Tokenizer,
    merge: bool = False,
    sources: Mapping[str, str] | None = None,
) -> tuple[list[StoredCodes], dict[str, AudioError]]:
    """The rows of a batch of utterances, and for each that has none, by id, why.

    `merge` deduplicates; `sources` gives the hash of the sound of an utterance, by id.
    """
    waves: dict[Place, np.ndarray] = {}
    codes: dict[Place, Codes] = {}
    faults: dict[Place, AudioError] = {}
    for utterance in utterances:
        place = place_of(utterance)
        if place in waves or place in faults or place in codes:
            continue
        try:
            if seconds_of(utterance) > LONG_S:
                blocks = utterance_blocks(utterance, tokenizer.spec.sample_rate)
                codes[place] = code_blocks(blocks, tokenizer)
            else:
                waves[place] = read_utterance(utterance, tokenizer.spec.sample_rate)
        except AudioError as error:
            faults[place] = error
    if waves:
        codes |= encode(waves, tokenizer, faults)
    if merge:
        codes = {place: found.deduplicate() for place, found in codes.items()}
    rows = [
        StoredCodes.of(u, codes[place_of(u)], (sources or {}).get(u.id))
        for u in utterances
        if place_of(u) in codes
    ]
    return rows, {u.id: faults[place_of(u)] for u in utterances if place_of(u) in faults}


def encode(
    waves: dict[Place, np.ndarray], tokenizer: Tokenizer, faults: dict[Place, AudioError]
) -> dict[Place, Codes]:
    """The codes [1, k, t] of each wave. Where the tokenizer refuses a batch its waves go in one by
    one, so that only those are lost that it cannot code; they are added to `faults`."""
    try:
        with torch.inference_mode():
            together = tokenizer.encode(*pad_wavs(list(waves.values())))
    except AudioError as error:
        if len(waves) == 1:
            faults.update(dict.fromkeys(waves, error))
            return {}
        alone = [encode({place: wav}, tokenizer, faults) for place, wav in waves.items()]
        return {place: codes for each in alone for place, codes in each.items()}
    return {place: together.row(index) for index, place in enumerate(waves)}


def code_blocks(blocks: Iterable[Wave], tokenizer: Tokenizer) -> Codes:
    """The codes [1, k, t] of sound that comes in blocks [n]."""
    waves = (torch.from_numpy(block)[None] for block in blocks)
    with torch.inference_mode():
        return Codes.join([codes.to("cpu") for codes in tokenizer.encode_long(waves)])


def place_of(utterance: Utterance) -> Place:
    """Where an utterance's sound lies."""
    channel = utterance.extra.get("channel")
    return (utterance.audio, utterance.start, utterance.duration, channel)


def seconds_of(utterance: Utterance) -> float:
    """How long an utterance is, by its file's header where nobody said. Raises AudioError."""
    if utterance.duration is not None or utterance.audio is None:
        return utterance.duration or 0.0
    return probe(utterance.audio).duration - utterance.start


def batches(
    utterances: Sequence[Utterance], seconds: float, lengths: Mapping[str, float] | None = None
) -> Iterator[list[Utterance]]:
    """Utterances of like length together; those that share a sound stay side by side.

    A batch holds at most `seconds` of sound, padding included, or one utterance. `lengths` gives
    those that the utterances do not know themselves, in seconds by id.
    """

    def length(utterance: Utterance) -> float | None:
        return utterance.duration or (lengths or {}).get(utterance.id)

    ordered = sorted(utterances, key=lambda u: (length(u) or 0.0, str(u.audio), u.start))
    batch: list[Utterance] = []
    for utterance in ordered:
        longest = length(utterance) or UNKNOWN_S
        if batch and longest * (len(batch) + 1) > seconds:
            yield batch
            batch = []
        batch.append(utterance)
    if batch:
        yield batch
