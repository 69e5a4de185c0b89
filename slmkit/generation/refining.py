"""Answers completed by a refiner: every utterance gets its fine codebooks once it is over, or some
frames at a time as they come.

A chunk's prompt is what was heard before and all chunks before it, complete: the voice goes on from
there. Nothing that follows is known to it, which is what a chunk costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from slmkit.api import Draft, Segment, Segments, Speech
from slmkit.generation.sampling import Sampling
from slmkit.lm.drafts import draft_of
from slmkit.lm.speechlm import SpeechLM


@dataclass(eq=False)
class Utterance:
    """One that is being completed.

    Attributes:
        draft: with all that is heard before its next frames as prompt, and those in `coarse`.
        draw: its random stream, the same for all its chunks.
        done: the codes [k, t] of its chunks.
    """

    draft: Draft
    draw: torch.Generator
    done: list[np.ndarray] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """Frames that are not complete yet."""
        return int(self.draft.coarse.shape[1])

    def more(self, coarse: np.ndarray) -> None:
        """Further frames [g, t] came."""
        self.draft = replace(self.draft, coarse=np.concatenate([self.draft.coarse, coarse], axis=1))

    def chunk(self, most: int) -> Draft:
        """The draft of its next frames, at most so many; 0: all."""
        return replace(self.draft, coarse=self.draft.coarse[:, : most or None])

    def take(self, codes: np.ndarray) -> None:
        """Its next frames are codes [k, t]; what follows hears them."""
        self.done.append(codes)
        # where nothing was heard the prompt has too few codebooks, and no frame
        heard = [each for each in (self.draft.prompt, codes) if each.shape[1]]
        after = self.draft.coarse[:, codes.shape[1] :]
        self.draft = replace(self.draft, prompt=np.concatenate(heard, axis=1), coarse=after)


def refine(
    lm: SpeechLM,
    prompts: Sequence[Segments],
    answers: Sequence[list[Segment]],
    sampling: Sampling,
    rows: Sequence[int],
) -> None:
    """Complete the utterances of several answers side by side and in place."""
    begun: list[tuple[list[Segment], int, Utterance]] = []
    for prompt, answer, number in zip(prompts, answers, rows, strict=True):
        spoken = [at for at, segment in enumerate(answer) if isinstance(segment, Speech)]
        for count, at in enumerate(spoken):
            begun.append((answer, at, _begun(lm, prompt, answer[:at], sampling, number, count)))
            segment = answer[at]
            assert isinstance(segment, Speech)
            begun[-1][2].more(segment.codes)
    while due := [each for _, _, each in begun if each.waiting]:
        _complete(lm, due, sampling.refine_frames)
    for answer, at, utterance in begun:
        nothing = np.zeros((lm.spec.codebooks, 0), dtype=np.int64)
        answer[at] = Speech(np.concatenate([nothing, *utterance.done], axis=1))


def refined(
    lm: SpeechLM, prompt: Segments, pieces: Iterable[Segment], sampling: Sampling, row: int
) -> Iterator[Segment]:
    """An answer's pieces, text as it comes, and the frames of an utterance complete: all once it is
    over, or `sampling.refine_frames` at a time. It begins with a piece without frames."""
    told: list[Segment] = []
    utterance, spoken, frames = None, 0, sampling.refine_frames
    for piece in pieces:
        goes_on = isinstance(piece, Speech) and utterance is not None and piece.codes.shape[1] > 0
        if not goes_on:
            yield from _rest(lm, utterance)
            utterance = None
        if isinstance(piece, Speech):
            if utterance is None:
                utterance = _begun(lm, prompt, told, sampling, row, spoken)
                spoken += 1
                yield Speech(np.zeros((lm.spec.codebooks, 0), dtype=np.int64))
            utterance.more(piece.codes)
            while frames and utterance.waiting >= frames:
                yield _complete(lm, [utterance], frames)
        else:
            told.append(piece)
            yield piece
    yield from _rest(lm, utterance)


def _begun(
    lm: SpeechLM, prompt: Segments, told: Segments, sampling: Sampling, row: int, count: int
) -> Utterance:
    """The utterance of this number in an answer, of which there are no frames yet."""
    heard = [segment for segment in prompt if isinstance(segment, Speech)]
    nothing = np.zeros((lm.vocabulary.codebooks, 0), dtype=np.int64)
    draft = draft_of([*prompt, *told], heard, nothing, lm.vocabulary)
    return Utterance(draft, _draw(sampling.seed, row, count))


def _complete(lm: SpeechLM, utterances: Sequence[Utterance], frames: int) -> Speech:
    """Complete the next frames of utterances, at most so many of each (0: all that wait); those of
    the last."""
    drafts = [each.chunk(frames) for each in utterances]
    found = lm.refiner.refine(drafts, [each.draw for each in utterances])
    for utterance, codes in zip(utterances, found, strict=True):
        utterance.take(codes)
    return Speech(found[-1])


def _rest(lm: SpeechLM, utterance: Utterance | None) -> Iterator[Speech]:
    """What of an utterance that is over waits yet."""
    if utterance is not None and utterance.waiting:
        yield _complete(lm, [utterance], 0)


def _draw(seed: int, row: int, utterance: int) -> torch.Generator:
    """A random stream for each utterance of each row, apart from that of the row's tokens."""
    number = ((seed * 1_000_003 + row) * 1_009 + utterance + 1) & 0x7FFF_FFFF_FFFF_FFFF
    return torch.Generator().manual_seed(number)
