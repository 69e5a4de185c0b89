"""The layout `flatten`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slmkit.api import CodeSpec, Layout, MisfitError, NoOptions, Segment, Segments, Speech, Text
from slmkit.lm.grid import Grid
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
        spans = tuple(zip([0, *ends[:-1]], ends, strict=True))
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
        return read_ids(grid.tokens[0].tolist(), grid.learn[0].tolist(), vocabulary)


def read_ids(ids: Sequence[int], learn: Sequence[bool], vocabulary: Vocabulary) -> list[Segment]:
    """Segments of a flat sequence of ids; speech that was cut short ends where the ids end."""
    start, end = vocabulary.id_of(START_OF_SPEECH), vocabulary.id_of(END_OF_SPEECH)
    segments: list[Segment] = []
    position = 0
    while position < len(ids):
        stop = position
        if ids[position] == start:
            while stop < len(ids) and ids[stop] != end:
                stop += 1
            codes = _unflatten(ids[position + 1 : stop], vocabulary)
            segments.append(Speech(codes, learn[position]))
            position = stop + 1
        else:
            while stop < len(ids) and ids[stop] != start and learn[stop] == learn[position]:
                stop += 1
            segments.append(Text(vocabulary.decode(ids[position:stop]), learn[position]))
            position = stop
    return segments


def _unflatten(ids: Sequence[int], vocabulary: Vocabulary) -> np.ndarray:
    """Codes [k, t] of the ids between the marks; what is no code, or no whole frame, is dropped.

    A model that samples may put a stray token among the codes; a frame is taken only when its
    codebooks stand in order.
    """
    books = [vocabulary.code_range(k) for k in range(vocabulary.codebooks)]
    frames: list[list[int]] = []
    frame: list[int] = []
    for index in ids:
        book = books[len(frame)]
        if index in book:
            frame.append(index - book.start)
            if len(frame) == len(books):
                frames.append(frame)
                frame = []
        else:
            frame = [index - books[0].start] if index in books[0] and len(books) > 1 else []
    if not frames:
        return np.zeros((len(books), 0), dtype=np.int64)
    return np.array(frames, dtype=np.int64).T
