"""The one loop: tokens come out step by step, and pieces of text and speech as soon as they exist.

"The whole answer" is the stream, gathered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from slmkit.api import MisfitError, Segment, Segments, SlmkitError, State
from slmkit.generation.picker import Picker
from slmkit.generation.refining import refine, refined
from slmkit.generation.sampling import Sampling
from slmkit.lm.grid import Grid, GridBatch
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


@torch.inference_mode()  # type: ignore[untyped-decorator]
def steps(
    lm: SpeechLM,
    prompts: Sequence[Grid],
    sampling: Sampling,
    rows: Sequence[int] | None = None,
    without: Sequence[Grid] | None = None,
) -> Iterator[Step]:
    """Generate after prompts of any lengths, side by side.

    `rows` numbers the prompts for their random streams (default 0, 1, ..), so that a row's answer
    is the same alone and in any batch. An answer begins afresh, but for a prompt whose speech does
    not end: it goes on with that. `without` are the same prompts without the condition that
    `sampling.guidance` strengthens. Answers end where the backbone's longest sequence does; who has
    enough closes the iterator.
    """
    rows = rows if rows is not None else range(len(prompts))
    pick = Picker(lm, sampling, rows)
    limits = _limits(lm, prompts, sampling.most)
    last, cache = _read(lm, _with_guides(prompts, sampling, without), max(limits))
    states = [_opened(lm, prompt) for prompt in prompts]
    going = list(range(len(prompts)))
    for made in range(max(limits)):
        pick.start(going, states, may_stop=made >= sampling.least)
        lm.head.sample(last, pick)
        tokens = torch.tensor(pick.picked)
        live = torch.zeros(len(prompts), dtype=torch.bool)
        live[going] = True
        pieces: list[list[Segment]] = [[] for _ in prompts]
        for row in going:
            pieces[row], states[row] = lm.layout.step(pick.picked[row], states[row], lm.vocabulary)
        ended = [
            row
            for row in going
            if made + 1 == limits[row]
            or pick.picked[row][0] in pick.stops
            or (sampling.until is not None and sampling.until(rows[row], pieces[row]))
        ]
        for row in ended:
            pieces[row] = [*pieces[row], *lm.layout.close(states[row], lm.vocabulary)]
        yield Step(tokens, live.clone(), pieces)
        going = [row for row in going if row not in ended]
        if not going:
            return
        live[ended] = False
        # rows that have ended stand still, and are fed what means nothing to the others
        fed = tokens.masked_fill(~live[:, None], 0)[:, :, None]
        on = None if bool(live.all()) else live.long()
        if pick.guided:
            fed, on = fed.repeat(2, 1, 1), None if on is None else on.repeat(2)
        hidden, cache = lm.step(fed.to(last.device), cache, on)
        last = hidden[:, 0]


def _limits(lm: SpeechLM, prompts: Sequence[Grid], most: int) -> list[int]:
    """Steps of each answer at most. Raises SlmkitError for a prompt that leaves no room for any."""
    if not prompts or not all(prompt.steps for prompt in prompts):
        raise SlmkitError("a prompt is empty: there is nothing to go on from")
    whole = lm.backbone.longest
    if whole is None:
        return [most] * len(prompts)
    longest = max(prompt.steps for prompt in prompts)
    if longest >= whole:
        raise SlmkitError(
            f"a prompt of {longest} steps leaves no room for an answer: the backbone takes {whole} "
            "in all; shorten the prompt"
        )
    return [min(most, whole - prompt.steps) for prompt in prompts]


def _with_guides(
    prompts: Sequence[Grid], sampling: Sampling, without: Sequence[Grid] | None
) -> Sequence[Grid]:
    """Prompts, and behind them those that guide. Raises SlmkitError where one lacks the other."""
    if (sampling.guidance != 1) != (without is not None):
        raise SlmkitError(
            f"guidance {sampling.guidance:g} and prompts without the condition go together: give "
            "both, or guidance 1 and no such prompts"
        )
    if without is None:
        return prompts
    if len(without) != len(prompts):
        raise SlmkitError(f"{len(prompts)} prompts, and {len(without)} without their condition")
    return [*prompts, *without]


def _read(lm: SpeechLM, prompts: Sequence[Grid], most: int) -> tuple[Tensor, State]:
    """Let the model read prompts: hidden states [b, d] behind them, and a cache with room for
    `most` further steps."""
    device = next(lm.parameters()).device
    batch = GridBatch.of(prompts)
    longest = batch.tokens.shape[2]
    padded = bool((batch.lengths < longest).any())
    batch = batch.to(device)
    cache = lm.empty_state(len(prompts), longest + most)
    lengths = batch.lengths if padded else None
    hidden, cache = lm.step(batch.tokens, cache, lengths, batch.prefix)
    return hidden[torch.arange(len(prompts), device=device), batch.lengths - 1], cache


def _opened(lm: SpeechLM, prompt: Grid) -> State:
    """The state of a reader behind a prompt. Raises MisfitError for one that begins no speech,
    where answers cannot."""
    if not lm.layout.begins and (prompt.going is None or not prompt.going.shape[1]):
        raise MisfitError(
            "this model begins no speech by itself: its prompt must end within speech, of at least "
            "one frame (give a voice, and what is said in it)"
        )
    opened: State = (
        lm.layout.open(lm.vocabulary)
        if prompt.going is None
        else lm.layout.resume(prompt.going, lm.vocabulary)
    )
    return opened


def stream(
    lm: SpeechLM,
    prompt: Segments,
    sampling: Sampling,
    row: int = 0,
    without: Segments | None = None,
) -> Iterator[Segment]:
    """The answer to one prompt, in pieces: text as it is spelt, frames of codes as they finish,
    or, where a refiner completes them, utterances. For `without` see `steps`."""
    guides = None if without is None else [lm.lay(without)]
    made = steps(lm, [lm.lay(prompt)], sampling, [row], guides)
    pieces = (piece for step in made for piece in step.pieces[0])
    yield from pieces if lm.refiner is None else refined(lm, prompt, pieces, sampling, row)


def complete(
    lm: SpeechLM,
    prompts: Sequence[Segments],
    sampling: Sampling,
    rows: Sequence[int] | None = None,
    without: Sequence[Segments] | None = None,
) -> list[list[Segment]]:
    """Whole answers to several prompts, as segments. For `without` see `steps`."""
    guides = None if without is None else [lm.lay(prompt) for prompt in without]
    rows = rows if rows is not None else range(len(prompts))
    answers: list[list[Segment]] = [[] for _ in prompts]
    for step in steps(lm, [lm.lay(prompt) for prompt in prompts], sampling, rows, guides):
        for answer, pieces in zip(answers, step.pieces, strict=True):
            answer.extend(pieces)
    whole = [join(pieces) for pieces in answers]
    if lm.refiner is not None:
        refine(lm, prompts, whole, sampling, rows)
    return whole
