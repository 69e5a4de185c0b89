"""How the next token is chosen from its scores. Letters: b (batch), v (tokens of a stream)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from slmkit.api import Segment, SlmkitError


@dataclass(frozen=True)
class Choice:
    """How one token is chosen. Raises SlmkitError for settings that contradict each other.

    Attributes:
        temperature: divides the scores; 0 means greedy, the best token always.
        top_k: keep the k best tokens; 0: all.
        top_p: keep the smallest set of best tokens whose probability reaches p (nucleus sampling,
            Holtzman et al. 2020); 1: all.
        min_p: keep the tokens at least so probable as this share of the best one's probability
            (Nguyen et al. 2024); 0: all.
        window: look so many tokens back in the stream for repetitions; 0: do not.
        repeats: a token that makes up more than this share of the window is drawn anew from all
            (repetition-aware sampling, VALL-E 2, Chen et al. 2024).
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    window: int = 0
    repeats: float = 0.1

    def __post_init__(self) -> None:
        if self.temperature < 0 or self.top_k < 0 or self.window < 0:
            raise SlmkitError(
                f"sampling: temperature {self.temperature:g}, top_k {self.top_k} and window "
                f"{self.window} must be at least 0"
            )
        if not 0 < self.top_p <= 1 or not 0 <= self.min_p <= 1 or not 0 <= self.repeats <= 1:
            raise SlmkitError(
                f"sampling: top_p {self.top_p:g} must lie in (0, 1], min_p {self.min_p:g} and "
                f"repeats {self.repeats:g} in [0, 1]"
            )
        if self.temperature == 0 and (
            self.top_k > 1 or self.top_p < 1 or self.min_p or self.window
        ):
            raise SlmkitError(
                "sampling: temperature 0 always takes the best token; leave out top_k, top_p, "
                "min_p and window, or give a temperature above 0"
            )

    @property
    def greedy(self) -> bool:
        """Whether the best token is always taken."""
        return self.temperature == 0 or self.top_k == 1


@dataclass(frozen=True)
class Sampling(Choice):
    """Settings of generation: how tokens are chosen, and where an answer ends.

    Attributes:
        most: at most so many new steps.
        least: at least so many new steps before a stop token may come.
        stop: special tokens at which an answer ends (kept in the answer).
        seed: each row draws from its own stream of this seed, whatever else is in the batch.
        speech: how codes are chosen, where that is not how text is.
        guidance: how far scores move away from those without the condition, 1: not at all
            (classifier-free guidance, Ho and Salimans 2022); see `loop.steps`.
        ends_at_best: a stop token is chosen also where it is only the best one and not the one
            drawn (VALL-E's published code).
        refine_frames: a refiner completes so many frames at a time as soon as they are there, each
            after those before it; 0: an utterance once it is over.
        until: asked after each step of a row with its number and the pieces that the step has
            finished; true ends the answer there.
    """

    most: int = 1024
    least: int = 0
    stop: tuple[str, ...] = ("<eoa>",)
    seed: int = 0
    speech: Choice | None = None
    guidance: float = 1.0
    ends_at_best: bool = False
    refine_frames: int = 0
    until: Callable[[int, Sequence[Segment]], bool] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.refine_frames < 0:
            raise SlmkitError(
                f"sampling: refine_frames {self.refine_frames} must be at least 1, or 0 for "
                "whole utterances"
            )
        if self.most < 1 or not 0 <= self.least <= self.most or self.guidance < 0:
            raise SlmkitError(
                f"sampling: most {self.most} must be at least 1, least {self.least} between 0 and "
                f"most, guidance {self.guidance:g} at least 0"
            )


def narrow(scores: Tensor, choice: Choice) -> Tensor:
    """Scores [b, v] after temperature, top-k, top-p and min-p; what is cut off becomes -inf."""
    scores = scores / choice.temperature
    if 0 < choice.top_k < scores.shape[-1]:
        least = scores.topk(choice.top_k, dim=-1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    if choice.top_p < 1:
        ordered, order = scores.sort(dim=-1, descending=True)
        before = ordered.softmax(dim=-1).cumsum(dim=-1) - ordered.softmax(dim=-1)
        cut = torch.zeros_like(scores, dtype=torch.bool)
        cut.scatter_(-1, order, before >= choice.top_p)
        scores = scores.masked_fill(cut, -torch.inf)
    if choice.min_p:
        likely = scores.softmax(dim=-1)
        least = choice.min_p * likely.amax(dim=-1, keepdim=True)
        scores = scores.masked_fill(likely < least, -torch.inf)
    return scores


def generators(sampling: Sampling, rows: Sequence[int]) -> list[torch.Generator]:
    """A random stream for each row, by its number: the same alone and in any batch."""
    return [torch.Generator().manual_seed(sampling.seed * 1_000_003 + row) for row in rows]


def choose(
    scores: Tensor,
    choice: Choice,
    draws: Sequence[torch.Generator],
    said: Sequence[Sequence[int]] = (),
) -> Tensor:
    """One token a row [b] from scores [b, v], each by its own random stream; `said` holds what each
    row's stream has said so far."""
    scores = scores.float()
    if choice.greedy:
        return scores.argmax(dim=-1)
    chosen = (narrow(scores, choice) + _gumbel(scores, draws)).argmax(dim=-1)
    if choice.window:
        for row, recent in enumerate(said):
            last = recent[-choice.window :]
            if last.count(int(chosen[row])) > choice.repeats * choice.window:
                anew = scores[row : row + 1] / choice.temperature
                chosen[row] = (anew + _gumbel(anew, draws[row : row + 1])).argmax()
    return chosen


def _gumbel(scores: Tensor, draws: Sequence[torch.Generator]) -> Tensor:
    """Noise [b, v] under which the best token is one drawn by its probability."""
    size = scores.shape[-1]
    waits = [torch.empty(size).exponential_(generator=draw) for draw in draws]
    return -torch.log(torch.stack(waits)).to(scores.device)
