"""`Picker`: the tokens of a step, chosen among those that the layout allows.

Letters: b (batch), a (tokens of a stream).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from slmkit.api import State
from slmkit.generation.sampling import Choice, Sampling, choose, generators
from slmkit.lm.alphabet import Alphabet
from slmkit.lm.layouts import NOTHING
from slmkit.lm.speechlm import SpeechLM

Ranges = tuple[range, ...]


class Picker:
    """Handed to a head as `pick`: chooses a step's tokens, stream by stream.

    With guidance the second half of the batch are the same answers without their condition: scores
    move away from theirs, and they are told the same tokens.

    Attributes:
        picked: of each row, the step's tokens so far, the vocabulary's ids.
    """

    def __init__(self, lm: SpeechLM, sampling: Sampling, rows: Sequence[int]) -> None:
        self.lm, self.sampling, self.rows = lm, sampling, rows
        self.draws = generators(sampling, rows)
        self.guided = sampling.guidance != 1
        self.stops = {lm.vocabulary.id_of(name) for name in sampling.stop}
        # repetitions are looked for in the last tokens alone
        self.window = max(sampling.window, sampling.speech.window if sampling.speech else 0)
        self.said: list[list[list[int]]] = [[[] for _ in rows] for _ in range(lm.streams)]
        # as lists: a step looks up single tokens
        alphabets: list[Alphabet] = list(lm.alphabets)  # type: ignore[arg-type]
        self.names = [None if each.whole else each.ids.tolist() for each in alphabets]
        self.possible: dict[tuple[int, Ranges, bool], tuple[Choice, Tensor | None]] = {}
        self.going: Sequence[int] = ()
        self.states: Sequence[State] = ()
        self.picked: list[list[int]] = []
        self.may_stop = True

    def start(self, going: Sequence[int], states: Sequence[State], may_stop: bool) -> None:
        """A new step, in which the rows `going` go on from `states`."""
        self.going, self.states, self.may_stop = going, states, may_stop
        self.picked = [[] for _ in self.rows]

    def __call__(self, scores: Tensor, stream: int) -> Tensor:
        """Tokens [b] in the stream's own numbering, from scores [b, a]."""
        if self.guided:
            with_, without = scores.chunk(2)
            scores = without + self.sampling.guidance * (with_ - without)
        alike = self._alike(stream)
        if len(alike) == 1 and len(self.going) == len(self.rows):
            ((ranges, rows),) = alike.items()
            tokens = self._chosen(scores, stream, ranges, rows)
        else:
            tokens = torch.full((len(self.rows),), NOTHING, device=scores.device)
            for ranges, rows in alike.items():
                tokens[rows] = self._chosen(scores[rows], stream, ranges, rows)
        told, names = tokens.tolist(), self.names[stream]
        for row, token in enumerate(told):
            self.picked[row].append(token if names is None or token < 0 else names[token])
        if self.window:
            self._remember(stream, told)
        return torch.cat([tokens, tokens]) if self.guided else tokens

    def _chosen(self, scores: Tensor, stream: int, ranges: Ranges, rows: Sequence[int]) -> Tensor:
        """Tokens of rows that all have these possible ones, or nothing."""
        if not ranges:
            return torch.full((len(rows),), NOTHING, device=scores.device)
        choice, mask = self._possible(stream, ranges)
        if mask is not None:
            scores = scores.masked_fill(mask, -torch.inf)
        said = [self.said[stream][row] for row in rows] if self.window else ()
        chosen = choose(scores, choice, [self.draws[row] for row in rows], said)
        if self.sampling.ends_at_best:
            best = scores.argmax(dim=-1)
            chosen = torch.where(self._stopping(stream).to(best.device)[best], best, chosen)
        return chosen

    def _stopping(self, stream: int) -> Tensor:
        """Bool [a], the stream's tokens that end an answer."""
        stops: Tensor = self.lm.alphabets[stream].mask([range(s, s + 1) for s in self.stops])  # type: ignore[operator]
        return stops

    def _remember(self, stream: int, tokens: Sequence[int]) -> None:
        for said, token in zip(self.said[stream], tokens, strict=True):
            if token != NOTHING:
                said.append(token)
                del said[: -self.window]

    def _alike(self, stream: int) -> dict[Ranges, list[int]]:
        """The rows that go on, by what may be in this stream."""
        layout, vocabulary = self.lm.layout, self.lm.vocabulary
        alike: dict[Ranges, list[int]] = {}
        for row in self.going:
            ranges = layout.allowed(self.states[row], self.picked[row], vocabulary)
            alike.setdefault(ranges, []).append(row)
        return alike

    def _possible(self, stream: int, ranges: Ranges) -> tuple[Choice, Tensor | None]:
        """How a token is chosen where these are possible, and bool [a], the stream's tokens that
        are not, where there are such."""
        key = (stream, ranges, self.may_stop)
        if key not in self.possible:
            alphabet = self.lm.alphabets[stream]
            mask = ~alphabet.mask(ranges)  # type: ignore[operator]
            if not self.may_stop:
                mask |= self._stopping(stream)
            self.possible[key] = self._choice(ranges), mask if bool(mask.any()) else None
        return self.possible[key]

    def _choice(self, ranges: Ranges) -> Choice:
        """How tokens are chosen where these are possible: those that may be codes as speech."""
        vocabulary, speech = self.lm.vocabulary, self.sampling.speech
        if speech is None:
            return self.sampling
        books = [vocabulary.code_range(k) for k in range(vocabulary.codebooks)]
        spoken = any(each.start in book for each in ranges for book in books)
        return speech if spoken else self.sampling
