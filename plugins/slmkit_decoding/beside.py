"""The layout `beside`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slmkit.api import Aligned, CodeSpec, MisfitError, Segment, Speech, State
from slmkit.lm.layouts import NOTHING, check_delays, delayed
from slmkit.lm.vocabulary import END_OF_SPEECH, NO_TEXT, Vocabulary
from slmkit_decoding.delay import frame_of
from slmkit_decoding.plugin import BesideOptions
from slmkit_decoding.spans import Spans, only, possible


class Beside(Spans):
    """A stream of text, and behind it a stream for each codebook. With delays 0, 1:

        text text <sosp> hi  <pad> you <eosp> .  text
          .    .     .   c00  c10  c20   .    .
          .    .     .    .   c01  c11  c21   .

    While it speaks, the first stream holds the words that are said, or `<pad>` (the inner monologue
    of Moshi, Defossez et al. 2024). Words may run `ahead` of the sound by so many steps (Mini-Omni,
    Xie and Wu 2024); `<eosp>` stands where the first codebook has nothing more.
    """

    def __init__(self, options: BesideOptions) -> None:
        self.options = options

    def streams(self, spec: CodeSpec) -> int:
        if spec.deduplicated:
            raise MisfitError("the layout 'beside' needs frames that keep step with the text")
        check_delays(self._codebook_delays(spec.codebooks), spec.codebooks)
        return 1 + spec.codebooks

    def _codebook_delays(self, codebooks: int) -> tuple[int, ...]:
        return tuple(self.options.delays or (0, *[1] * (codebooks - 1)))

    def _waits(self, codebooks: int) -> tuple[int, ...]:
        """Steps by which each codebook lies behind the text."""
        return tuple(self.options.ahead + delay for delay in self._codebook_delays(codebooks))

    def _count(self, vocabulary: Vocabulary) -> int:
        return 1 + max(1, len(self.options.delays or ()), vocabulary.codebooks)

    def alphabet(self, stream: int, vocabulary: Vocabulary) -> tuple[range, ...]:
        if stream == 0:
            return vocabulary.words
        return (vocabulary.code_range(stream - 1),) if stream <= vocabulary.codebooks else ()

    def body(self, ids: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
        words = np.full(ids.shape[1], vocabulary.id_of(NO_TEXT))
        return self._laid_beside(words, ids, vocabulary)

    def beside(self, segment: Aligned, vocabulary: Vocabulary) -> np.ndarray:
        none = segment.text_ids < 0
        words = np.where(none, vocabulary.id_of(NO_TEXT), segment.text_ids)
        ids = vocabulary.encode_codes(segment.codes)
        if len(words) != ids.shape[1]:
            raise MisfitError(f"{len(words)} ids of text lie beside {ids.shape[1]} frames")
        laid = self._laid_beside(words, ids, vocabulary)
        return np.concatenate([self._start(vocabulary), laid], axis=1)

    def _laid_beside(
        self, words: np.ndarray, ids: np.ndarray, vocabulary: Vocabulary
    ) -> np.ndarray:
        frames, ahead = ids.shape[1], self.options.ahead
        steps = frames + ahead + 1 if frames else 1
        sound = delayed(ids, self._codebook_delays(len(ids))) if frames else ids
        width = max(steps, ahead + sound.shape[1]) if frames else 1
        laid = np.full((1 + len(ids), width), NOTHING, dtype=np.int64)
        laid[0, :steps] = vocabulary.id_of(NO_TEXT)
        laid[0, :frames] = words
        laid[0, steps - 1] = vocabulary.id_of(END_OF_SPEECH)
        if frames:
            laid[1:, ahead : ahead + sound.shape[1]] = sound
        return laid

    def opening(self, ids: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
        frames = ids.shape[1]
        words = np.full(frames, vocabulary.id_of(NO_TEXT))
        return self._laid_beside(words, ids, vocabulary)[:, :frames]

    def begun(self) -> State:
        return {"columns": [], "at": 0, "frames": None}

    def take(
        self, tokens: Sequence[int], state: State, vocabulary: Vocabulary
    ) -> tuple[list[Segment], State | None]:
        waits, at, frames = self._waits(vocabulary.codebooks), state["at"], state["frames"]
        last, ahead = max(waits), self.options.ahead
        if frames is None and tokens[0] == vocabulary.id_of(END_OF_SPEECH):
            frames = max(0, at - ahead)
        columns = [*state["columns"], list(tokens)][-last - 1 :]
        finished: list[Segment] = []
        due = at - last
        if due >= 0 and (frames is None or due < frames):
            sound = frame_of([column[1:] for column in columns], waits, vocabulary)
            word = columns[0][0]
            if sound is not None:
                said = 0 <= word < vocabulary.text.size
                finished = [Aligned(np.array([word]), sound) if said else Speech(sound)]
        if frames is not None and (frames == 0 or at + 1 >= frames + max(ahead + 1, last)):
            return finished, None
        return finished, {**state, "columns": columns, "at": at + 1, "frames": frames}

    def speakable(
        self, state: State, picked: Sequence[int], vocabulary: Vocabulary
    ) -> tuple[range, ...]:
        stream, at, frames = len(picked), state["at"], state["frames"]
        end, ahead = vocabulary.id_of(END_OF_SPEECH), self.options.ahead
        if stream == 0:
            if frames is not None:
                return ()
            said = (range(vocabulary.text.size), only(vocabulary.id_of(NO_TEXT)))
            return (*said, only(end)) if at == 0 or at > ahead else said
        if frames is None and picked[0] == end:
            frames = max(0, at - ahead)
        due = at - self._waits(vocabulary.codebooks)[stream - 1]
        there = due >= 0 and (frames is None or due < frames)
        return (possible(state, stream - 1, due, vocabulary),) if there else ()
