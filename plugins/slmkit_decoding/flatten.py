"""The layout `flatten`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from slmkit.api import (
    CodeSpec,
    Layout,
    MisfitError,
    NoOptions,
    Segment,
    Segments,
    Speech,
    State,
    Text,
)
from slmkit.lm.grid import Grid
from slmkit.lm.pieces import join
from slmkit.lm.vocabulary import END_OF_SPEECH, START_OF_SPEECH, Vocabulary


class Flatten(Layout):
    """One stream; speech stands between `<sosp>` and `<eosp>`, frame by frame.

    With k codebooks, frame t lies at steps t*k .. t*k + k - 1, coarse codebook first:

        text text <sosp> c00 c01 c10 c11 c20 c21 <eosp> text
    """

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def streams(self, spec: CodeSpec) -> int:
        return 1

    def lay(self, segments: Segments, vocabulary: Vocabulary) -> Grid:
        pieces: list[np.ndarray] = []
        learn: list[np.ndarray] = []
        for segment in segments:
            ids = self._ids(segment, vocabulary)
            pieces.append(ids)
            learn.append(np.full(len(ids), segment.learn))
        ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64).tolist()
        spans = tuple(zip([0, *ends], ends, strict=False))
        tokens = np.concatenate(pieces)[None] if pieces else np.zeros((1, 0), np.int64)
        marks = np.concatenate(learn)[None] if learn else np.zeros((1, 0), bool)
        return Grid(tokens, np.ones_like(tokens, dtype=bool), marks, spans)

    def _ids(self, segment: Segment, vocabulary: Vocabulary) -> np.ndarray:
        if isinstance(segment, Text):
            return np.array(vocabulary.encode(segment.text), dtype=np.int64)
        if isinstance(segment, Speech):
            codes = vocabulary.encode_codes(segment.codes)
            start, end = vocabulary.id_of(START_OF_SPEECH), vocabulary.id_of(END_OF_SPEECH)
            return np.concatenate([[start], codes.T.reshape(-1), [end]]).astype(np.int64)
        raise MisfitError("the layout 'flatten' has no stream for text aligned with speech")

    def read(self, grid: Grid, vocabulary: Vocabulary) -> Segments:
        segments: list[Segment] = []
        state = self.open(vocabulary)
        learn = grid.learn[0].tolist()
        before = learn[0] if learn else False
        for token, mark in zip(grid.tokens[0].tolist(), learn, strict=True):
            if mark != before:
                segments += [
                    replace(piece, learn=before) for piece in self.close(state, vocabulary)
                ]
                state = self.open(vocabulary)
                before = mark
            pieces, state = self.step([token], state, vocabulary)
            segments += [replace(piece, learn=mark) for piece in pieces]
        segments += [replace(piece, learn=before) for piece in self.close(state, vocabulary)]
        return join(segments)

    def open(self, vocabulary: Vocabulary) -> State:
        return {"speaking": False, "ids": [], "told": 0}

    def step(
        self, tokens: Sequence[int], state: State, vocabulary: Vocabulary
    ) -> tuple[list[Segment], State]:
        (token,) = tokens
        if token == vocabulary.id_of(START_OF_SPEECH):
            begun = Speech(np.zeros((vocabulary.codebooks, 0), dtype=np.int64))
            return [*self.close(state, vocabulary), begun], {"speaking": True, "ids": [], "told": 0}
        if token == vocabulary.id_of(END_OF_SPEECH):
            return self.close(state, vocabulary), self.open(vocabulary)
        if state["speaking"]:
            return _take_code(token, state, vocabulary)
        return _take_text(token, state, vocabulary)

    def close(self, state: State, vocabulary: Vocabulary) -> list[Segment]:
        if state["speaking"]:
            return []
        rest = vocabulary.decode(state["ids"])[state["told"] :]
        return [Text(rest)] if rest else []


def _take_text(token: int, state: State, vocabulary: Vocabulary) -> tuple[list[Segment], State]:
    """Spell out what is certain: a character may still lack bytes that later pieces bring."""
    ids = [*state["ids"], token]
    text = vocabulary.decode(ids)
    told = state["told"]
    if text.endswith("\ufffd"):
        return [], {**state, "ids": ids}
    if vocabulary.is_special(token):
        return [Text(text[told:])], {**state, "ids": [], "told": 0}
    return ([Text(text[told:])] if text[told:] else []), {**state, "ids": ids, "told": len(text)}


def _take_code(token: int, state: State, vocabulary: Vocabulary) -> tuple[list[Segment], State]:
    """Gather a frame; a model that samples may put a stray token among the codes, which breaks the
    frame that it falls into."""
    frame: list[int] = state["ids"]
    book = vocabulary.code_range(len(frame))
    if token not in book:
        first = vocabulary.code_range(0)
        return [], {**state, "ids": [token - first.start] if token in first else []}
    frame = [*frame, token - book.start]
    if len(frame) < vocabulary.codebooks:
        return [], {**state, "ids": frame}
    return [Speech(np.array(frame, dtype=np.int64)[:, None])], {**state, "ids": []}
