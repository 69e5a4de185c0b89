"""What generation costs: steps and tokens on the grid, memory, and time. Letters: k (codebook),
t (frame)."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from torch import Tensor

from slmkit.api import Result, Segments, Speech, Text
from slmkit.data.intervals import bootstrap
from slmkit.generation.loop import complete, stream
from slmkit.generation.sampling import Sampling
from slmkit.lm.speechlm import SpeechLM


def weights_of(lm: SpeechLM) -> dict[str, int]:
    """Weights of each piece: the backbone is what strategies share."""
    pieces = {"backbone": lm.backbone, "embedding": lm.embedding, "head": lm.head}
    if lm.refiner is not None:
        pieces["refiner"] = lm.refiner
    return {name: sum(p.numel() for p in piece.parameters()) for name, piece in pieces.items()}


def sizes(lm: SpeechLM, answers: Sequence[Segments], split: str) -> Iterator[Result]:
    """How long answers lie on the grid for a second of their speech, what cache the longest needs,
    and how large the model is."""
    grids = [lm.lay(answer) for answer in answers]
    frames = sum(s.codes.shape[1] for a in answers for s in a if not isinstance(s, Text))
    if frames:
        seconds = frames / lm.spec.frame_rate
        steps = [grid.steps for grid in grids]
        tokens = sum(int(grid.real.sum()) for grid in grids)
        yield plain("steps-per-second", split, sum(steps) / seconds, len(grids), "Hz")
        yield plain("tokens-per-second", split, tokens / seconds, len(grids), "Hz")
        yield plain("sequence-length", split, statistics.mean(steps), len(grids))
        held = sum(t.numel() * t.element_size() for t in _tensors(lm.empty_state(1, max(steps))))
        yield plain("cache", split, held / 1e6, 1, "MB")
    for name, count in weights_of(lm).items():
        yield plain(f"weights/{name}", split, count / 1e6, 1, "M")


def times(
    lm: SpeechLM, prompts: Sequence[Segments], sampling: Sampling, split: str
) -> Iterator[Result]:
    """Answers to prompts one by one: time until the first frames are there, and for each second of
    speech."""
    first, took, lasted = [], [], []
    for row, prompt in enumerate(prompts):
        begun, waited, frames = time.perf_counter(), None, 0
        for piece in stream(lm, prompt, sampling, row):
            if not isinstance(piece, Text) and piece.codes.shape[1]:
                waited = waited or time.perf_counter() - begun
                frames += piece.codes.shape[1]
        if waited is not None:
            first.append(1000 * waited)
            took.append(time.perf_counter() - begun)
            lasted.append(frames / lm.spec.frame_rate)
    if first:
        yield plain("first-frames", split, statistics.median(first), len(first), "ms")
        factor = bootstrap(took, lasted)
        yield Result("real-time-factor", split, *factor, len(first), direction="lower")


def throughput(
    lm: SpeechLM, prompts: Sequence[Segments], sampling: Sampling, split: str
) -> Iterator[Result]:
    """Seconds of speech made in a second: of answers to prompts one after the other, and side by
    side in one batch. Both draw alike, so that both make the same speech."""
    rows = range(len(prompts))
    ways = {1: [[row] for row in rows], len(prompts): [list(rows)]}
    for size, batches in ways.items():
        begun, frames = time.perf_counter(), 0
        for batch in batches:
            for answer in complete(lm, [prompts[row] for row in batch], sampling, batch):
                frames += sum(s.codes.shape[1] for s in answer if not isinstance(s, Text))
        if frames:
            speed = frames / lm.spec.frame_rate / (time.perf_counter() - begun)
            name = f"throughput/batch-{size}"
            yield plain(name, split, speed, len(prompts), "s/s", "higher")


def longest_speech(lm: SpeechLM, frames: int, begun: int = 0) -> int:
    """Steps that so many frames of speech take, whatever stands around them, going on from `begun`
    others: a layout that gives one codebook after another says those again."""

    def steps(count: int, ends: bool = True) -> int:
        codes = np.zeros((lm.spec.codebooks, count), dtype=np.int64)
        return lm.lay([Speech(codes, ends=ends)]).steps

    return steps(begun + frames) - (steps(begun, False) - steps(0, False))


def plain(
    name: str,
    split: str,
    value: float,
    n: int,
    unit: str = "",
    direction: Literal["lower", "higher"] = "lower",
) -> Result:
    """A row without an interval."""
    return Result(name, split, value, value, value, n, unit, direction)


def _tensors(state: Any) -> Iterator[Tensor]:
    """Every tensor of a nested state."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, dict):
        for value in state.values():
            yield from _tensors(value)
