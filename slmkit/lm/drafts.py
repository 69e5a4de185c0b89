"""What a refiner is asked to complete. Letters: k (codebook), t (frame)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from slmkit.api import Draft, Segment, Segments, Speech, Text
from slmkit.lm.vocabulary import Vocabulary


def coarse(segments: Segments, codebooks: int) -> list[Segment]:
    """Segments whose speech has only its first codebooks."""
    return [s if isinstance(s, Text) else replace(s, codes=s.codes[:codebooks]) for s in segments]


def drafts(segments: Segments, vocabulary: Vocabulary) -> Iterator[tuple[Draft, np.ndarray]]:
    """A draft for each utterance of an example that is to be learnt, with its codes [k, t]."""
    for place, segment in enumerate(segments):
        if isinstance(segment, Speech) and segment.learn and segment.codes.shape[1]:
            first = segment.codes[: vocabulary.codebooks]
            heard = [s for s in segments[:place] if isinstance(s, Speech) and not s.learn]
            yield draft_of(segments[:place], heard, first, vocabulary), segment.codes


def draft_of(
    before: Segments, heard: Sequence[Speech], first: np.ndarray, vocabulary: Vocabulary
) -> Draft:
    """The draft of an utterance: all text that stands before it is said, special tokens left out,
    and what was `heard` before is in the voice that it keeps."""
    written = "".join(segment.text for segment in before if isinstance(segment, Text))
    ids = [index for index in vocabulary.encode(written) if index < vocabulary.text.size]
    prompt = np.concatenate([s.codes for s in heard], axis=1) if heard else first[:, :0]
    return Draft(np.array(ids, dtype=np.int64), prompt, first)
