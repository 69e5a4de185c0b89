"""Voices for the stages that train and compare vocoders.

Letters: d (width of an embedding).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from slmkit.api import (
    AudioError,
    DataError,
    MisfitError,
    SpeakerEncoder,
    StageContext,
    Utterance,
    Vocoder,
)
from slmkit.codecs.hifigan import HifiGanSizes
from slmkit.data.audio import read_utterance
from slmkit.data.batches import pad_wavs
from slmkit.training.voices import names_of


def voiced(
    vocoder: Vocoder,
    sizes: HifiGanSizes,
    utterances: list[Utterance],
    slot: str | None,
    context: StageContext,
) -> tuple[list[Utterance], dict[str, np.ndarray]]:
    """The utterances to learn from, and embeddings [d] of them where the vocoder reads such.

    The vocoder keeps the names of the speakers: in a table as its rows, else with the mean of each
    speaker's embeddings. Raises MisfitError where its voices and these do not fit, DataError.
    """
    if sizes.embedder_dim and not slot:
        raise MisfitError(
            "train-vocoder: this vocoder reads embeddings of voices, and the stage names no slot "
            "of a speaker encoder: add `voices: SLOT`"
        )
    if sizes.num_speakers and not slot:
        nameless = [one.id for one in utterances if one.speaker is None]
        if nameless:
            raise DataError(f"a table of voices needs speakers, and '{nameless[0]}' has none")
        vocoder.keep_voices(names_of(one.speaker for one in utterances))
    if not slot:
        return utterances, {}
    encoder: SpeakerEncoder = context.part(slot)
    # refused before hours of sound are read
    vocoder.keep_voices([], torch.zeros(0, encoder.width), _record(encoder))
    embeddings = embedded(utterances, encoder, context)
    utterances = [one for one in utterances if one.id in embeddings]
    if not utterances:
        raise DataError("in none of the utterances to learn from is a voice heard")
    means = means_of(utterances, embeddings)
    stacked = np.stack(list(means.values())) if means else np.zeros((0, encoder.width), np.float32)
    vocoder.keep_voices(list(means), torch.from_numpy(stacked), _record(encoder))
    return utterances, embeddings


def embedded(
    utterances: Sequence[Utterance], encoder: SpeakerEncoder, context: StageContext
) -> dict[str, np.ndarray]:
    """The embedding [d] of each utterance by id; what has no voice (silence) is left out."""
    found = {}
    with context.progress("hearing voices", len(utterances)) as progress:
        for count, utterance in enumerate(utterances, 1):
            wav = read_utterance(utterance, encoder.sample_rate)
            try:
                found[utterance.id] = embed(encoder, wav)
            except AudioError as error:
                context.say(f"left out '{utterance.id}': {error}")
            progress(count)
    return found


def embed(encoder: SpeakerEncoder, wav: np.ndarray) -> np.ndarray:
    """The embedding float32 [d] of one wave [n]. Raises AudioError."""
    vector: np.ndarray = encoder.embed(*pad_wavs([wav]))[0].float().numpy()
    return vector


def means_of(
    utterances: Sequence[Utterance], embeddings: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The mean embedding [d] of each speaker, of length one, by name, sorted."""
    spoken = defaultdict(list)
    for one in utterances:
        if one.speaker is not None and one.id in embeddings:
            spoken[one.speaker].append(embeddings[one.id])
    means = {name: np.mean(spoken[name], axis=0) for name in sorted(spoken)}
    return {name: mean / np.linalg.norm(mean) for name, mean in means.items()}


def told(
    vocoder: Vocoder, utterances: Sequence[Utterance], embeddings: Mapping[str, np.ndarray]
) -> list[torch.Tensor | None]:
    """The voice of each utterance as a vocoder takes it, [1] or [1, d]; None where it takes none.

    An embedding is that of another utterance of the speaker where there is one. Raises DataError.
    """
    origin = getattr(vocoder, "origin", None)
    taken = origin.shelved.declaration.abilities(origin.options).conditioning if origin else ()
    if "speaker-embedding" in taken:
        shown = [shown_by(one, utterances, embeddings) for one in utterances]
        return [torch.from_numpy(embeddings[one.id])[None] for one in shown]
    if "speaker-name" not in taken:
        return [None] * len(utterances)
    nameless = [one.id for one in utterances if one.speaker is None]
    if nameless:
        raise DataError(f"a table of voices needs speakers, and '{nameless[0]}' has none")
    return [vocoder.voice(str(one.speaker))[None] for one in utterances]


def shown_by(
    own: Utterance, utterances: Sequence[Utterance], embeddings: Mapping[str, np.ndarray]
) -> Utterance:
    """The next other utterance of the same known speaker, or the utterance itself."""
    at = list(utterances).index(own)
    for other in (*utterances[at + 1 :], *utterances[:at]):
        if own.speaker is not None and other.speaker == own.speaker and other.id in embeddings:
            return other
    return own


def likenesses(
    copies: Sequence[np.ndarray],
    utterances: Sequence[Utterance],
    embeddings: Mapping[str, np.ndarray],
    encoder: SpeakerEncoder,
) -> Iterator[float]:
    """The cosine between each copy's voice and the original's; a copy without a voice is like
    nobody: 0."""
    for copy, utterance in zip(copies, utterances, strict=True):
        try:
            spoken = embed(encoder, copy)
        except AudioError:
            yield 0.0
            continue
        yield float(spoken @ embeddings[utterance.id])


def strangers(
    utterances: Sequence[Utterance], embeddings: Mapping[str, np.ndarray]
) -> Iterator[float]:
    """The cosine between each original and one of another speaker: what no likeness comes to."""
    for number, one in enumerate(utterances):
        others = (*utterances[number + 1 :], *utterances[:number])
        other = next((each for each in others if each.speaker != one.speaker), None)
        if other is not None:
            yield float(embeddings[one.id] @ embeddings[other.id])


def _record(encoder: Any) -> dict[str, Any] | None:
    """The encoder as a slot of a recipe says it."""
    origin = getattr(encoder, "origin", None)
    return None if origin is None else {"part": origin.shelved.name, **asdict(origin.options)}
