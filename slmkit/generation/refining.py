"""Answers completed by a refiner: every utterance gets its fine codebooks once it is over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from slmkit.api import Segment, Segments, Speech
from slmkit.generation.sampling import Sampling
from slmkit.lm.drafts import draft_of
from slmkit.lm.speechlm import SpeechLM


def refine(
    lm: SpeechLM,
    prompts: Sequence[Segments],
    answers: Sequence[list[Segment]],
    sampling: Sampling,
    rows: Sequence[int],
) -> None:
    """Complete the utterances of several answers, all at once and in place."""
    drafts, draws, places = [], [], []
    for prompt, answer, number in zip(prompts, answers, rows, strict=True):
        heard = [segment for segment in prompt if isinstance(segment, Speech)]
        spoken = [at for at, segment in enumerate(answer) if isinstance(segment, Speech)]
        for count, at in enumerate(spoken):
            utterance = answer[at]
            assert isinstance(utterance, Speech)
            before = [*prompt, *answer[:at]]
            drafts.append(draft_of(before, heard, utterance.codes, lm.vocabulary))
            draws.append(_draw(sampling.seed, number, count))
            places.append((answer, at, utterance))
    if drafts:
        completed = lm.refiner.refine(drafts, draws)
        for (answer, at, utterance), codes in zip(places, completed, strict=True):
            answer[at] = replace(utterance, codes=codes)


def refined(
    lm: SpeechLM, prompt: Segments, pieces: Iterable[Segment], sampling: Sampling, row: int
) -> Iterator[Segment]:
    """An answer's pieces, text as it comes, and each utterance whole once it is over."""
    told: list[Segment] = []
    spoken = 0
    for piece in _whole(pieces):
        if isinstance(piece, Speech):
            heard = [segment for segment in prompt if isinstance(segment, Speech)]
            draft = draft_of([*prompt, *told], heard, piece.codes, lm.vocabulary)
            (codes,) = lm.refiner.refine([draft], [_draw(sampling.seed, row, spoken)])
            spoken += 1
            yield replace(piece, codes=codes[:, :0])
            if codes.shape[1]:
                yield replace(piece, codes=codes)
        else:
            told.append(piece)
            yield piece


def _whole(pieces: Iterable[Segment]) -> Iterator[Segment]:
    """Pieces of which the frames of an utterance are one; it begins with a piece without frames."""
    frames: list[np.ndarray] = []
    for piece in pieces:
        if isinstance(piece, Speech) and frames and piece.codes.shape[1]:
            frames.append(piece.codes)
            continue
        if frames:
            yield Speech(np.concatenate(frames, axis=1))
        frames = [piece.codes] if isinstance(piece, Speech) else []
        if not frames:
            yield piece
    if frames:
        yield Speech(np.concatenate(frames, axis=1))


def _draw(seed: int, row: int, utterance: int) -> torch.Generator:
    """A random stream for each utterance of each row, apart from that of the row's tokens."""
    number = ((seed * 1_000_003 + row) * 1_009 + utterance + 1) & 0x7FFF_FFFF_FFFF_FFFF
    return torch.Generator().manual_seed(number)
