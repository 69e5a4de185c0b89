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
from slmkit.lm.pieces import join
from slmkit.lm.speechlm import SpeechLM


@dataclass(frozen=True, eq=False)
class Step:
    """Tokens [b, s] of one step and the rows [b] that were still going."""

    tokens: Tensor
    going: Tensor


@torch.inference_mode()  # type: ignore[untyped-decorator]
def steps(
    lm: SpeechLM, prompts: Sequence[Grid], sampling: Sampling, rows: Sequence[int] | None = None
) -> Iterator[Step]:
    """Generate after prompts of any lengths, side by side.

    `rows` numbers the prompts for their random streams (default 0, 1, ..), so that a row's answer
    is the same alone and in any batch.
    """
    device = next(lm.parameters()).device
    batch = GridBatch.of(prompts).to(device)
    streams = generators(sampling, rows if rows is not None else range(len(prompts)))
    stops = torch.tensor([lm.vocabulary.id_of(name) for name in sampling.stop], device=device)
    state = lm.empty_state(len(prompts), int(batch.lengths.max()) + sampling.most)
    hidden, state = lm.step(batch.tokens, state, batch.lengths)
    last = hidden[torch.arange(len(prompts), device=device), batch.lengths - 1]
    going = torch.ones(len(prompts), dtype=torch.bool, device=device)
    for made in range(sampling.most):
        banned = stops if made < sampling.least else stops[:0]

        def pick(scores: Tensor, stream: int, banned: Tensor = banned) -> Tensor:
            return choose(scores.index_fill(-1, banned, -torch.inf), sampling, streams)

        tokens = lm.sample(last, pick)
        yield Step(tokens, going)
        going = going & ~torch.isin(tokens[:, 0], stops)
        if not going.any() or made + 1 == sampling.most:
            return
        hidden, state = lm.step(tokens[:, :, None], state)
        last = hidden[:, 0]


def stream(lm: SpeechLM, prompt: Segments, sampling: Sampling, row: int = 0) -> Iterator[Segment]:
    """The answer to one prompt, in pieces: text as it is spelt, frames of codes as they finish."""
    state = lm.layout.open(lm.vocabulary)
    for step in steps(lm, [lm.layout.lay(prompt, lm.vocabulary)], sampling, [row]):
        pieces, state = lm.layout.step(step.tokens[0].tolist(), state, lm.vocabulary)
        yield from pieces
    yield from lm.layout.close(state, lm.vocabulary)


def complete(
    lm: SpeechLM, prompts: Sequence[Segments], sampling: Sampling, rows: Sequence[int] | None = None
) -> list[list[Segment]]:
    """Whole answers to several prompts, as segments."""
    grids = [lm.layout.lay(prompt, lm.vocabulary) for prompt in prompts]
    states: list[State] = [lm.layout.open(lm.vocabulary) for _ in prompts]
    answers: list[list[Segment]] = [[] for _ in prompts]
    for step in steps(lm, grids, sampling, rows):
        tokens = step.tokens.tolist()
        for row in step.going.nonzero()[:, 0].tolist():
            pieces, states[row] = lm.layout.step(tokens[row], states[row], lm.vocabulary)
            answers[row].extend(pieces)
    for row, state in enumerate(states):
        answers[row].extend(lm.layout.close(state, lm.vocabulary))
    return [join(pieces) for pieces in answers]
