"""How text and speech of an answer stand together. Letters: k (codebook), t (frame)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from slmkit.api import Aligned, DataError, Interval, Segment, Speech, Text, Utterance
from slmkit.lm.pieces import SILENT

Encode = Callable[[str], list[int]]


def text_first(answer: Utterance, codes: np.ndarray, rate: float, encode: Encode) -> list[Segment]:
    """All text, then all speech (Spectron, Nachmani et al. 2023; SpeechGPT's chain)."""
    return [Text(f" {answer.text}", learn=True), Speech(codes, learn=True)]


def interleaved(answer: Utterance, codes: np.ndarray, rate: float, encode: Encode) -> list[Segment]:
    """Each word, then its speech (GLM-4-Voice, Zeng et al. 2024; here by alignment, word by word);
    a word's speech lasts until the next one begins."""
    starts = [_frame(word, rate, codes) for word in words_of(answer)]
    borders = [0, *starts[1:], codes.shape[1]]
    segments: list[Segment] = []
    for word, (begin, end) in zip(words_of(answer), pairwise(borders), strict=True):
        segments.append(Text(f" {word.label}", learn=True))
        segments.append(Speech(codes[:, begin:end], learn=True))
    return segments


def monologue(answer: Utterance, codes: np.ndarray, rate: float, encode: Encode) -> list[Segment]:
    """Each word beside the frame at which it begins (Moshi, Defossez et al. 2024)."""
    pieces = [
        (index, _frame(word, rate, codes))
        for word in words_of(answer)
        for index in encode(f" {word.label}")
    ]
    return [_beside(pieces, codes, answer)]


def ahead(answer: Utterance, codes: np.ndarray, rate: float, encode: Encode) -> list[Segment]:
    """All text beside the first frames (Mini-Omni, Xie and Wu 2024)."""
    return [_beside([(index, 0) for index in encode(f" {answer.text}")], codes, answer)]


ARRANGE: Mapping[str, Callable[[Utterance, np.ndarray, float, Encode], list[Segment]]] = {
    "text-first": text_first,
    "interleaved": interleaved,
    "monologue": monologue,
    "ahead": ahead,
}


def words_of(answer: Utterance) -> Sequence[Interval]:
    """The words with their times. Raises DataError where the corpus does not know them."""
    if not answer.words:
        raise DataError(f"'{answer.id}' has no times of its words: this arrangement needs them")
    return answer.words


def _frame(word: Interval, rate: float, codes: np.ndarray) -> int:
    return min(math.floor(word.start * rate), codes.shape[1])


def _beside(pieces: Sequence[tuple[int, int]], codes: np.ndarray, answer: Utterance) -> Aligned:
    """Ids at the frame at which they are due, or as soon after it as one is free; where the end is
    too near, before it. Raises DataError where there are more ids than frames."""
    frames = codes.shape[1]
    if len(pieces) > frames:
        raise DataError(f"'{answer.id}': {len(pieces)} text tokens beside {frames} frames")
    ids, at = np.full(frames, SILENT, dtype=np.int64), -1
    for place, (index, due) in enumerate(pieces):
        at = min(max(at + 1, due), frames - len(pieces) + place)
        ids[at] = index
    return Aligned(ids, codes, learn=True)
