"""The one loop: tokens come out step by step, and pieces of text and speech as soon as they exist.

"The whole answer" is the stream, gathered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from slmkit.api import Segment, Segments, State
from slmkit.generation.sampling import Sampling, choose, generators
from slmkit.lm.grid import Grid, GridBatch
from slmkit.lm.layouts import NOTHING
from slmkit.lm.pieces import join
from slmkit.lm.speechlm import SpeechLM


@dataclass(frozen=True, eq=False)
class Step:
    """One step of several answers.

    Attributes:
        tokens: [b, s], the vocabulary's ids; NOTHING where a stream has none.
        going: [b], the rows that had not ended before it.
        pieces: what it finished, for each row; with a row's last step also what was left.
    """

    tokens: Tensor
    going: Tensor
    pieces: list[list[Segment]]


class Picker:
    """Chooses the tokens of a step, stream by stream, among those that the layout allows."""

    def __init__(
        self, lm: SpeechLM, sampling: Sampling, streams: Sequence[torch.Generator]
    ) -> None:
        self.lm, self.sampling, self.streams = lm, sampling, streams
        self.stops = [lm.vocabulary.id_of(name) for name in sampling.stop]
        self.masks: dict[tuple[int, tuple[range, ...], bool], Tensor] = {}
        self.rows: list[int] = []
        self.states: Sequence[State] = ()
        self.picked: list[list[int]] = []
        self.may_stop = True

    def start(self, rows: list[int], states: Sequence[State], may_stop: bool) -> None:
        """A new step, in which `rows` still go on from `states`."""
        self.rows, self.states, self.may_stop = rows, states, may_stop
        self.picked = [[] for _ in states]

    def __call__(self, scores: Tensor, stream: int) -> Tensor:
        """Tokens [b] in the stream's own numbering, from scores [b, a]."""
        layout, vocabulary = self.lm.layout, self.lm.vocabulary
        ranges = {
            row: layout.allowed(self.states[row], self.picked[row], vocabulary) for row in self.rows
        }
        open_rows = [row for row in self.rows if ranges[row]]
        tokens = scores.new_full((len(scores),), NOTHING, dtype=torch.int64)
        if open_rows:
            mask = torch.stack([self._mask(stream, ranges[row]) for row in open_rows])
            chosen = scores[open_rows].masked_fill(~mask, -torch.inf)
            draws = [self.streams[row] for row in open_rows]
            tokens[open_rows] = choose(chosen, self.sampling, draws)
        shared = self.lm.alphabets[stream].shared(tokens).tolist()
        for row, token in enumerate(shared):
            self.picked[row].append(token)
        return tokens

    def _mask(self, stream: int, ranges: tuple[range, ...]) -> Tensor:
        key = (stream, ranges, self.may_stop)
        if key not in self.masks:
            alphabet = self.lm.alphabets[stream]
            mask = alphabet.mask(ranges)
            if not self.may_stop:
                mask &= ~alphabet.mask([range(stop, stop + 1) for stop in self.stops])
            self.masks[key] = mask
        return self.masks[key]


@torch.inference_mode()  # type: ignore[untyped-decorator]
def steps(
    lm: SpeechLM, prompts: Sequence[Grid], sampling: Sampling, rows: Sequence[int] | None = None
) -> Iterator[Step]:
    """Generate after prompts of any lengths, side by side.

    `rows` numbers the prompts for their random streams (default 0, 1, ..), so that a row's answer
    is the same alone and in any batch. An answer begins afresh, whatever its prompt ended in.
    """
    device = next(lm.parameters()).device
    batch = GridBatch.of(prompts).to(device)
    draws = generators(sampling, rows if rows is not None else range(len(prompts)))
    pick = Picker(lm, sampling, draws)
    cache = lm.empty_state(len(prompts), int(batch.lengths.max()) + sampling.most)
    hidden, cache = lm.step(batch.tokens, cache, batch.lengths)
    last = hidden[torch.arange(len(prompts), device=device), batch.lengths - 1]
    states = [lm.layout.open(lm.vocabulary) for _ in prompts]
    going = list(range(len(prompts)))
    for made in range(sampling.most):
        pick.start(going, states, may_stop=made >= sampling.least)
        tokens = lm.sample(last, pick)
        live = torch.zeros(len(prompts), dtype=torch.bool)
        live[going] = True
        pieces: list[list[Segment]] = [[] for _ in prompts]
        for row in going:
            pieces[row], states[row] = lm.layout.step(pick.picked[row], states[row], lm.vocabulary)
        full = made + 1 == sampling.most
        ended = [row for row in going if full or pick.picked[row][0] in pick.stops]
        for row in ended:
            pieces[row] = [*pieces[row], *lm.layout.close(states[row], lm.vocabulary)]
        yield Step(tokens, live, pieces)
        going = [row for row in going if row not in ended]
        if not going:
            return
        # rows that have ended are fed what means nothing to the others
        fed = tokens.masked_fill(~live.to(device)[:, None], 0)[:, :, None]
        hidden, cache = lm.step(fed, cache)
        last = hidden[:, 0]


def stream(lm: SpeechLM, prompt: Segments, sampling: Sampling, row: int = 0) -> Iterator[Segment]:
    """The answer to one prompt, in pieces: text as it is spelt, frames of codes as they finish."""
    for step in steps(lm, [lm.layout.lay(prompt, lm.vocabulary)], sampling, [row]):
        yield from step.pieces[0]


def complete(
    lm: SpeechLM, prompts: Sequence[Segments], sampling: Sampling, rows: Sequence[int] | None = None
) -> list[list[Segment]]:
    """Whole answers to several prompts, as segments."""
    grids = [lm.layout.lay(prompt, lm.vocabulary) for prompt in prompts]
    answers: list[list[Segment]] = [[] for _ in prompts]
    for step in steps(lm, grids, sampling, rows):
        for answer, pieces in zip(answers, step.pieces, strict=True):
            answer.extend(pieces)
    return [join(pieces) for pieces in answers]
