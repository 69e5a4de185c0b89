"""The layout `delay`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slmkit.api import CodeSpec, MisfitError, Segment, Speech, State
from slmkit.lm.layouts import NOTHING, check_delays, delayed
from slmkit.lm.vocabulary import END_OF_SPEECH, Vocabulary
from slmkit_decoding.plugin import DelayOptions
from slmkit_decoding.spans import Spans, only, possible


class Delay(Spans):
    """A stream for each codebook, codebook k behind the first by its delay. With delays 0, 1:

        text text <sosp> c00 c10 c20 <eosp> text
          .    .     .    .  c01 c11  c21    .

    Text, `<sosp>` and `<eosp>` lie in the first stream, where the others have nothing.
    """

    def __init__(self, options: DelayOptions) -> None:
        self.options = options

    def streams(self, spec: CodeSpec) -> int:
        if spec.deduplicated and spec.codebooks > 1:
            raise MisfitError("the layout 'delay' needs codebooks that keep step")
        check_delays(self._delays(spec.codebooks), spec.codebooks)
        return spec.codebooks

    def _delays(self, codebooks: int) -> tuple[int, ...]:
        return tuple(self.options.delays or range(codebooks))

    def _count(self, vocabulary: Vocabulary) -> int:
        return max(1, len(self.options.delays or ()), vocabulary.codebooks)

    def alphabet(self, stream: int, vocabulary: Vocabulary) -> tuple[range, ...]:
        if stream == 0:
            first = (vocabulary.code_range(0),) if vocabulary.codebooks else ()
            return (*vocabulary.words, *first)
        return (vocabulary.code_range(stream),) if stream < vocabulary.codebooks else ()

    def body(self, ids: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
        frames, delays = ids.shape[1], self._delays(ids.shape[0])
        laid = delayed(ids, delays)
        if frames == 0:
            laid = laid[:, :0]
        if laid.shape[1] == frames:
            laid = np.pad(laid, ((0, 0), (0, 1)), constant_values=NOTHING)
        laid[0, frames] = vocabulary.id_of(END_OF_SPEECH)
        return laid

    def opening(self, ids: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
        return delayed(ids, self._delays(ids.shape[0]))[:, : ids.shape[1]]

    def begun(self) -> State:
        return {"columns": [], "at": 0, "frames": None}

    def take(
        self, tokens: Sequence[int], state: State, vocabulary: Vocabulary
    ) -> tuple[list[Segment], State | None]:
        delays, at, frames = self._delays(vocabulary.codebooks), state["at"], state["frames"]
        last = max(delays)
        if frames is None and tokens[0] == vocabulary.id_of(END_OF_SPEECH):
            frames = at
        columns = [*state["columns"], list(tokens)][-last - 1 :]
        finished: list[Segment] = []
        due = at - last
        if due >= 0 and (frames is None or due < frames):
            frame = frame_of(columns, delays, vocabulary)
            finished = [] if frame is None else [Speech(frame)]
        # without frames there is nothing to wait for
        if frames is not None and (frames == 0 or at + 1 >= frames + max(1, last)):
            return finished, None
        return finished, {**state, "columns": columns, "at": at + 1, "frames": frames}

    def speakable(
        self, state: State, picked: Sequence[int], vocabulary: Vocabulary
    ) -> tuple[range, ...]:
        stream, at, frames = len(picked), state["at"], state["frames"]
        end = vocabulary.id_of(END_OF_SPEECH)
        if stream == 0:
            return (vocabulary.code_range(0), only(end)) if frames is None else ()
        if frames is None and picked[0] == end:
            frames = at
        due = at - self._delays(vocabulary.codebooks)[stream]
        there = due >= 0 and (frames is None or due < frames)
        return (possible(state, stream, due, vocabulary),) if there else ()


def frame_of(
    columns: list[list[int]], delays: Sequence[int], vocabulary: Vocabulary
) -> np.ndarray | None:
    """The frame [k, 1] that the last of these columns finishes, where each of its codes is one."""
    first = len(columns) - 1 - max(delays)
    codes = []
    for stream, delay in enumerate(delays):
        token, book = columns[first + delay][stream], vocabulary.code_range(stream)
        if token not in book:
            return None
        codes.append(token - book.start)
    return np.array(codes, dtype=np.int64)[:, None]
