"""The layout `flatten`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slmkit.api import Segment, Speech, State
from slmkit.lm.layouts import flatten
from slmkit.lm.vocabulary import END_OF_SPEECH, Vocabulary
from slmkit_decoding.plugin import FlattenOptions
from slmkit_decoding.spans import Spans, only


class Flatten(Spans):
    """One stream; speech stands between `<sosp>` and `<eosp>`, frame by frame.

    With k codebooks, frame t lies at steps t*k .. t*k + k - 1, coarse codebook first:

        text text <sosp> c00 c01 c10 c11 c20 c21 <eosp> text

    Without `start` there is no `<sosp>`: nothing predicts a first frame, as VALL-E was published.
    """

    def __init__(self, options: FlattenOptions) -> None:
        self.options = options
        self.begins = options.start

    def body(self, ids: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
        return np.append(flatten(ids), [[vocabulary.id_of(END_OF_SPEECH)]], axis=1)

    def opening(self, ids: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
        return flatten(ids)

    def begun(self) -> State:
        return {"frame": []}

    def take(
        self, tokens: Sequence[int], state: State, vocabulary: Vocabulary
    ) -> tuple[list[Segment], State | None]:
        (token,) = tokens
        if token == vocabulary.id_of(END_OF_SPEECH):
            return [], None
        frame: list[int] = state["frame"]
        book = vocabulary.code_range(len(frame))
        if token not in book:
            # a stray token breaks the frame that it falls into
            first = vocabulary.code_range(0)
            return [], {**state, "frame": [token - first.start] if token in first else []}
        frame = [*frame, token - book.start]
        if len(frame) < vocabulary.codebooks:
            return [], {**state, "frame": frame}
        return [Speech(np.array(frame, dtype=np.int64)[:, None])], {**state, "frame": []}

    def speakable(
        self, state: State, picked: Sequence[int], vocabulary: Vocabulary
    ) -> tuple[range, ...]:
        book = vocabulary.code_range(len(state["frame"]))
        return (book,) if state["frame"] else (book, only(vocabulary.id_of(END_OF_SPEECH)))
