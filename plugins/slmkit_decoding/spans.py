"""What the layouts share: text in the first stream, and speech between `<sosp>` and `<eosp>`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from slmkit.api import (
    Aligned,
    CodeSpec,
    Layout,
    MisfitError,
    Segment,
    Segments,
    Speech,
    State,
    Text,
)
from slmkit.lm.grid import Grid
from slmkit.lm.layouts import NOTHING
from slmkit.lm.pieces import join
from slmkit.lm.vocabulary import START_OF_SPEECH, Vocabulary


class Spans(Layout):
    """Segments one after another. A layout of this kind says how the codes lie within a span.

    A reader's state holds whether it is `speaking`, in text the `ids` that are not all `told` yet,
    and in speech what the layout needs besides; of an utterance that a prompt has begun also the
    ids that are `known` [k, t], and how many of its frames are still to be `skipped`.
    """

    @abstractmethod
    def body(self, ids: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
        """Ids [k, t] of codes laid on [s, l], with the id of `<eosp>` where it belongs."""

    @abstractmethod
    def opening(self, ids: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
        """The same [s, l] of codes whose utterance goes on: all steps before the first that is not
        known."""

    @abstractmethod
    def begun(self) -> State:
        """The state right after `<sosp>`, but for `speaking`."""

    @abstractmethod
    def take(
        self, tokens: Sequence[int], state: State, vocabulary: Vocabulary
    ) -> tuple[list[Segment], State | None]:
        """Take a step [s] of speech: the frames that it finishes, and the state after it, none
        once the span is over."""

    @abstractmethod
    def speakable(
        self, state: State, picked: Sequence[int], vocabulary: Vocabulary
    ) -> tuple[range, ...]:
        """What is `allowed` within speech."""

    def streams(self, spec: CodeSpec) -> int:
        return 1

    def alphabet(self, stream: int, vocabulary: Vocabulary) -> tuple[range, ...]:
        return (range(vocabulary.size),)

    def lay(self, segments: Segments, vocabulary: Vocabulary) -> Grid:
        if any(isinstance(segment, Speech) and not segment.ends for segment in segments[:-1]):
            raise MisfitError("only the last segment can be speech that does not end")
        laid = [self._laid(segment, vocabulary) for segment in segments]
        ends = np.cumsum([part.shape[1] for part in laid], dtype=np.int64).tolist()
        streams = laid[0].shape[0] if laid else 1
        tokens = np.concatenate([np.zeros((streams, 0), np.int64), *laid], axis=1)
        learn = np.zeros(tokens.shape, dtype=bool)
        spans = tuple(zip([0, *ends], ends, strict=False))
        for segment, (start, end) in zip(segments, spans, strict=True):
            learn[:, start:end] = segment.learn
        real = tokens != NOTHING
        last = segments[-1] if segments else None
        going = last.codes if isinstance(last, Speech) and not last.ends else None
        return Grid(tokens, real, learn & real, spans, going=going)

    def _laid(self, segment: Segment, vocabulary: Vocabulary) -> np.ndarray:
        if isinstance(segment, Text):
            return self._in_first(vocabulary.encode(segment.text), vocabulary)
        if isinstance(segment, Speech):
            ids = vocabulary.encode_codes(segment.codes)
            body = self.body(ids, vocabulary) if segment.ends else self.opening(ids, vocabulary)
            return np.concatenate([self._start(vocabulary), body], axis=1)
        return self.beside(segment, vocabulary)

    def beside(self, segment: Aligned, vocabulary: Vocabulary) -> np.ndarray:
        """Speech with text in a stream of its own, on [s, l]. Raises MisfitError where there is
        none."""
        raise MisfitError(f"the layout {type(self).__name__} has no stream for text beside speech")

    def _start(self, vocabulary: Vocabulary) -> np.ndarray:
        marks = [vocabulary.id_of(START_OF_SPEECH)] if self.begins else []
        return self._in_first(marks, vocabulary)

    def _first(self, vocabulary: Vocabulary) -> tuple[range, ...]:
        """What tells that speech has begun: `<sosp>`, or where there is none, what stands in it."""
        if self.begins:
            return (only(vocabulary.id_of(START_OF_SPEECH)),)
        return self.speakable(self.begun(), (), vocabulary)

    def _in_first(self, ids: Sequence[int], vocabulary: Vocabulary) -> np.ndarray:
        laid = np.full((self._count(vocabulary), len(ids)), NOTHING, dtype=np.int64)
        laid[0] = ids
        return laid

    def _count(self, vocabulary: Vocabulary) -> int:
        """Streams of the grid."""
        return 1

    def read(self, grid: Grid, vocabulary: Vocabulary) -> Segments:
        segments: list[Segment] = []
        state = self.open(vocabulary)
        learn, real = grid.learn.any(axis=0).tolist(), grid.real.any(axis=0).tolist()
        before = learn[0] if learn else False
        for tokens, mark, there in zip(grid.tokens.T.tolist(), learn, real, strict=True):
            # between short speech and what is delayed by more may lie steps of nothing at all
            mark = mark if there else before
            if mark != before:
                segments += [replace(rest, learn=before) for rest in self.close(state, vocabulary)]
                state = self.open(vocabulary)
                before = mark
            pieces, state = self.step(tokens, state, vocabulary)
            segments += [replace(piece, learn=mark) for piece in pieces]
        segments += [replace(rest, learn=before) for rest in self.close(state, vocabulary)]
        return join(segments)

    def open(self, vocabulary: Vocabulary) -> State:
        return {"speaking": False, "ids": [], "told": 0}

    def resume(self, codes: np.ndarray, vocabulary: Vocabulary) -> State:
        ids = vocabulary.encode_codes(codes)
        state: State = {**self.begun(), "speaking": True, "known": ids, "skipped": 0}
        told = 0
        for tokens in self.opening(ids, vocabulary).T.tolist():
            pieces, after = self.take(tokens, state, vocabulary)
            assert after is not None, "an opening does not end"
            told, state = told + len(pieces), after
        return {**state, "skipped": codes.shape[1] - told}

    def step(
        self, tokens: Sequence[int], state: State, vocabulary: Vocabulary
    ) -> tuple[list[Segment], State]:
        if state["speaking"]:
            pieces, after = self.take(tokens, state, vocabulary)
            if pieces and state.get("skipped"):
                pieces, state = [], {**state, "skipped": state["skipped"] - 1}
            if after is None:
                return pieces, self.open(vocabulary)
            return pieces, {**after, "skipped": state.get("skipped", 0)}
        if any(tokens[0] in each for each in self._first(vocabulary)):
            nothing_yet = Speech(np.zeros((vocabulary.codebooks, 0), dtype=np.int64))
            pieces = [*self.close(state, vocabulary), nothing_yet]
            state = {**self.begun(), "speaking": True}
            if self.begins:
                return pieces, state
            begun, state = self.step(tokens, state, vocabulary)
            return [*pieces, *begun], state
        return _take_text(tokens[0], state, vocabulary)

    def close(self, state: State, vocabulary: Vocabulary) -> list[Segment]:
        if state["speaking"]:
            return []
        rest = vocabulary.decode(state["ids"])[state["told"] :]
        return [Text(rest)] if rest else []

    def allowed(
        self, state: State, picked: Sequence[int], vocabulary: Vocabulary
    ) -> tuple[range, ...]:
        if state["speaking"]:
            return self.speakable(state, picked, vocabulary)
        if picked:
            return ()
        unmarked = () if self.begins else self._first(vocabulary)
        return (*vocabulary.written, *unmarked)


def possible(state: State, codebook: int, frame: int, vocabulary: Vocabulary) -> range:
    """The ids that a codebook can hold at a frame: one, where the prompt has it."""
    known = state.get("known")
    if known is not None and frame < known.shape[1]:
        return only(int(known[codebook, frame]))
    return vocabulary.code_range(codebook)


def only(token: int) -> range:
    """The range of one id."""
    return range(token, token + 1)


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
