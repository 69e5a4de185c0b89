"""How the next token is chosen from its scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from slmkit.api import SlmkitError


@dataclass(frozen=True)
class Sampling:
    """Settings of generation.

    Attributes:
        temperature: divides the scores; 0 means greedy, the best token always.
        top_k: keep the k best tokens; 0: all.
        top_p: keep the smallest set of best tokens whose probability reaches p (nucleus sampling,
            Holtzman et al. 2020); 1: all.
        most: at most so many new steps.
        least: at least so many new steps before a stop token may come.
        stop: special tokens at which an answer ends (kept in the answer).
        seed: each row draws from its own stream of this seed, whatever else is in the batch.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    most: int = 1024
    least: int = 0
    stop: tuple[str, ...] = ("<eoa>",)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.temperature < 0 or self.top_k < 0 or not 0 < self.top_p <= 1 or self.most < 1:
            raise SlmkitError(
                f"sampling: temperature {self.temperature} must be >= 0, top_k {self.top_k} >= 0, "
                f"top_p {self.top_p} in (0, 1], most {self.most} >= 1"
            )

    @property
    def greedy(self) -> bool:
        """Whether the best token is always taken."""
        return self.temperature == 0 or self.top_k == 1


def narrow(scores: Tensor, sampling: Sampling) -> Tensor:
    """Scores [b, v] after temperature, top-k and top-p; what is cut off becomes -inf."""
    scores = scores / sampling.temperature
    if 0 < sampling.top_k < scores.shape[-1]:
        least = scores.topk(sampling.top_k, dim=-1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    if sampling.top_p < 1:
        ordered, order = scores.sort(dim=-1, descending=True)
        before = ordered.softmax(dim=-1).cumsum(dim=-1) - ordered.softmax(dim=-1)
        cut = torch.zeros_like(scores, dtype=torch.bool)
        cut.scatter_(-1, order, before >= sampling.top_p)
        scores = scores.masked_fill(cut, -torch.inf)
    return scores


def generators(sampling: Sampling, rows: Sequence[int]) -> list[torch.Generator]:
    """A random stream for each row, by its number: the same alone and in any batch."""
    return [torch.Generator().manual_seed(sampling.seed * 1_000_003 + row) for row in rows]


def choose(scores: Tensor, sampling: Sampling, streams: Sequence[torch.Generator]) -> Tensor:
    """One token a row [b] from scores [b, v]: the Gumbel-max trick on each row's own stream."""
    scores = scores.float()
    if sampling.greedy:
        return scores.argmax(dim=-1)
    size = scores.shape[-1]
    waits = [torch.empty(size).exponential_(generator=stream) for stream in streams]
    gumbel = -torch.log(torch.stack(waits)).to(scores.device)
    return (narrow(scores, sampling) + gumbel).argmax(dim=-1)
