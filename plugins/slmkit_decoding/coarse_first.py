"""The layout `coarse-first`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slmkit.api import NoOptions, Segment, Speech, State
from slmkit.lm.layouts import coarse_first
from slmkit.lm.vocabulary import END_OF_SPEECH, Vocabulary
from slmkit_decoding.spans import Spans, only, possible


class CoarseFirst(Spans):
    """One stream; all codes of the first codebook, then all of the second, and so on:

        text <sosp> c00 c10 c20 c01 c11 c21 <eosp> text

    The first codebook decides how long the speech is. A frame is finished with its last codebook's
    code, so that the first sound has to wait for all codebooks but one.
    """

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def body(self, ids: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
        return np.append(coarse_first(ids), [[vocabulary.id_of(END_OF_SPEECH)]], axis=1)

    def opening(self, ids: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
        return ids[:1]

    def begun(self) -> State:
        return {"books": [[]]}

    def take(
        self, tokens: Sequence[int], state: State, vocabulary: Vocabulary
    ) -> tuple[list[Segment], State | None]:
        (token,) = tokens
        if token == vocabulary.id_of(END_OF_SPEECH):
            return [], None
        books: list[list[int]] = state["books"]
        if not any(token in each for each in self._next(state, vocabulary)):
            return [], state
        here = len(books) - 1
        if token in vocabulary.code_range(here):
            books = [*books[:-1], [*books[-1], token - vocabulary.code_range(here).start]]
        else:
            books = [*books, [token - vocabulary.code_range(here + 1).start]]
        finished: list[Segment] = []
        if len(books) == vocabulary.codebooks:
            frame = [book[len(books[-1]) - 1] for book in books]
            finished.append(Speech(np.array(frame, dtype=np.int64)[:, None]))
        return finished, {**state, "books": books}

    def speakable(
        self, state: State, picked: Sequence[int], vocabulary: Vocabulary
    ) -> tuple[range, ...]:
        books = state["books"]
        ranges = self._next(state, vocabulary)
        whole = len(books) == vocabulary.codebooks and len(books[-1]) == len(books[0])
        if whole or not books[0]:
            return (*ranges, only(vocabulary.id_of(END_OF_SPEECH)))
        return ranges

    def _next(self, state: State, vocabulary: Vocabulary) -> tuple[range, ...]:
        """The codes that may follow: of this codebook, of the next one, or of either."""
        books: list[list[int]] = state["books"]
        here, last = len(books) - 1, len(books) == vocabulary.codebooks
        goes_on = here == 0 or len(books[-1]) < len(books[0])
        goes_over = not last and len(books[-1]) == len(books[0]) > 0
        ranges = (possible(state, here, len(books[-1]), vocabulary),) if goes_on else ()
        return (*ranges, possible(state, here + 1, 0, vocabulary)) if goes_over else ranges
