"""Speech that is watched while it is made: what goes wrong is found, ended early, and tried again.

Sampled speech fails in known ways (VALL-E 2, Chen et al. 2024): it stays empty, never ends, or
repeats itself for ever. Letters: k (codebook), t (frame).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from slmkit.api import Progress, Segment, Segments, Text
from slmkit.generation.loop import complete
from slmkit.generation.sampling import Sampling
from slmkit.lm.speechlm import SpeechLM
from slmkit.lm.vocabulary import END_OF_SPEECH

Failure = Literal["empty", "endless", "repeated"]
FAILURES: tuple[Failure, ...] = ("empty", "endless", "repeated")

REPEATED_SECONDS = 2.0
"""Speech that has said the same for so long repeats itself: pauses are shorter."""
LONGEST_PERIOD = 0.5
"""Seconds of the longest pattern that is looked for."""
APART = 1 << 20
"""Lies between the random streams of one attempt and the next."""


@dataclass(frozen=True, eq=False)
class Attempt:
    """What became of one prompt.

    Attributes:
        codes: int64 [k, t], of the last attempt.
        failure: what went wrong with it, if anything did.
        tries: how many it took, or how many there were.
    """

    codes: np.ndarray
    failure: Failure | None
    tries: int


def attempts(
    lm: SpeechLM,
    prompts: Sequence[Segments],
    sampling: Sampling,
    limits: Sequence[int],
    batch: int,
    retries: int,
    progress: Progress,
) -> list[Attempt]:
    """Answer prompts, `batch` side by side, with at most `limits` frames each; what fails is drawn
    anew up to `retries` times, from random streams of its own, so that an answer does not depend
    on what else fails. The best token always is not drawn, and not tried again. A caller's own
    `sampling.until` is asked as well."""
    found: dict[int, Attempt] = {}
    tries = 1 if sampling.greedy else retries + 1
    for number in range(tries):
        due = [row for row in range(len(prompts)) if row not in found or found[row].failure]
        for start in range(0, len(due), batch):
            rows = due[start : start + batch]
            streams = [row + number * APART for row in rows]
            watch = Watch({s: limits[row] for s, row in zip(streams, rows, strict=True)}, lm)
            watched = replace(sampling, until=_either(sampling.until, watch))
            answers = complete(lm, [prompts[row] for row in rows], watched, streams)
            for row, at, answer in zip(rows, streams, answers, strict=True):
                codes = codes_of(answer, lm.spec.codebooks)
                failure = failure_of(answer, codes, watch.repeating(at), sampling.stop)
                if failure == "endless" and END_OF_SPEECH in sampling.stop and not watch.over(at):
                    # <eosp> stands in no text: only it ends what is neither long nor repeated
                    failure = None
                found[row] = Attempt(codes, failure, number + 1)
            progress(sum(not each.failure for each in found.values()), len(prompts))
    return [found[row] for row in range(len(prompts))]


Until = Callable[[int, Sequence[Segment]], bool]


def _either(asked: Until | None, watch: Until) -> Until:
    """Ends what either of two ends; each sees every step."""
    if asked is None:
        return watch

    def both(row: int, pieces: Sequence[Segment]) -> bool:
        ended = asked(row, pieces)
        return watch(row, pieces) or ended

    return both


class Watch:
    """Asked after each step (`Sampling.until`): ends what is too long, or repeats itself."""

    def __init__(self, limits: Mapping[int, int], lm: SpeechLM) -> None:
        self.limits = limits
        self.window = round(REPEATED_SECONDS * lm.spec.frame_rate)
        self.period = max(1, round(LONGEST_PERIOD * lm.spec.frame_rate))
        self.said: dict[int, list[int]] = {row: [] for row in limits}

    def __call__(self, row: int, pieces: Sequence[Segment]) -> bool:
        said = self.said[row]
        for piece in pieces:
            if not isinstance(piece, Text):
                said.extend(piece.codes[0].tolist())
        return self.over(row) or self.repeating(row)

    def over(self, row: int) -> bool:
        """Whether a row has said more than it may."""
        return len(self.said[row]) > self.limits[row]

    def repeating(self, row: int) -> bool:
        """Whether a row's first codebook has been periodic for too long."""
        last = self.said[row][-self.window :]
        if len(last) < self.window:
            return False
        return any(last[period:] == last[:-period] for period in range(1, self.period + 1))


def failure_of(
    answer: Segments, codes: np.ndarray, repeating: bool, stop: Sequence[str]
) -> Failure | None:
    """What is wrong with an answer, if anything is."""
    if not codes.shape[1]:
        return "empty"
    if repeating:
        return "repeated"
    written = "".join(segment.text for segment in answer if isinstance(segment, Text))
    return None if any(name in written for name in stop) else "endless"


def codes_of(answer: Segments, codebooks: int) -> np.ndarray:
    """The codes [k, t] of what was said."""
    nothing = np.zeros((codebooks, 0), dtype=np.int64)
    spoken = [segment.codes for segment in answer if not isinstance(segment, Text)]
    return np.concatenate([nothing, *spoken], axis=1)
