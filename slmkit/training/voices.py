"""Which voice a vocoder is given beside the units of an utterance, while it learns.

Letters: b (batch), d (width of an embedding), u (utterance).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from slmkit.api import DataError
from slmkit.codecs.hifigan import HifiGanSizes


class HasVoice(Protocol):
    """An utterance whose speaker may be known, and which may have been embedded ([d])."""

    @property
    def speaker(self) -> str | None: ...

    @property
    def embedding(self) -> np.ndarray | None: ...


class Voices(Protocol):
    """Gives the voices of a batch."""

    def draw(self, chosen: Sequence[int], rng: np.random.Generator) -> Tensor:
        """What the generator takes as `speaker` for the utterances of these numbers."""


@dataclass(frozen=True, eq=False)
class TableOfSpeakers:
    """The row of each utterance's speaker: int64 [u]."""

    rows: Tensor

    def draw(self, chosen: Sequence[int], rng: np.random.Generator) -> Tensor:
        return self.rows[list(chosen)]


@dataclass(frozen=True, eq=False)
class EmbeddedVoices:
    """Embeddings [u, d], and for each utterance all those of its speaker.

    A voice is shown by another utterance where there is one, so that nothing of what is said can
    come with it.
    """

    embeddings: Tensor
    same: Sequence[Sequence[int]]

    def draw(self, chosen: Sequence[int], rng: np.random.Generator) -> Tensor:
        return self.embeddings[[self._shown(one, rng) for one in chosen]]

    def _shown(self, own: int, rng: np.random.Generator) -> int:
        others = [number for number in self.same[own] if number != own]
        return others[int(rng.integers(len(others)))] if others else own


def names_of(speakers: Iterable[str | None]) -> list[str]:
    """Those who are known, sorted; a speaker's place is the row in a table, as in fairseq."""
    return sorted({speaker for speaker in speakers if speaker is not None})


def voices_of(utterances: Sequence[HasVoice], sizes: HifiGanSizes) -> Voices | None:
    """The voices that a generator of this shape learns; None where it takes none.

    Raises DataError for an utterance without what they need.
    """
    if sizes.embedder_dim:
        given = [one.embedding for one in utterances if one.embedding is not None]
        if len(given) < len(utterances):
            raise DataError("a vocoder that reads embeddings learns from embedded utterances alone")
        return EmbeddedVoices(torch.from_numpy(np.stack(given)), _same(utterances))
    if not sizes.num_speakers:
        return None
    numbers = {
        name: number for number, name in enumerate(names_of(one.speaker for one in utterances))
    }
    if any(one.speaker is None for one in utterances):
        raise DataError("a table of voices needs the speaker of every utterance")
    return TableOfSpeakers(torch.tensor([numbers[str(one.speaker)] for one in utterances]))


def _same(utterances: Sequence[HasVoice]) -> list[list[int]]:
    """For each utterance the numbers of its speaker's; one of an unknown speaker stands alone."""
    spoken: dict[str, list[int]] = defaultdict(list)
    for number, one in enumerate(utterances):
        if one.speaker is not None:
            spoken[one.speaker].append(number)
    return [
        [number] if one.speaker is None else spoken[one.speaker]
        for number, one in enumerate(utterances)
    ]
