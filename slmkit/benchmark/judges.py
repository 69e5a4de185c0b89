"""Who listens: a transcriber that comes trained or learns here, and a speaker encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slmkit.api import AudioError, DataError, MisfitError, Utterance
from slmkit.benchmark.protocol import Judge
from slmkit.benchmark.quiet import QuietContext
from slmkit.data.audio import read_utterance, resampled
from slmkit.data.batches import pad_wavs
from slmkit.host import is_part, save_part
from slmkit.recipe.chosen import Chosen
from slmkit.training.ctc import CtcTraining, Heard, fit_ctc
from slmkit.training.probe import plain_text

DEV = 96
"""Held-out utterances whose loss is watched."""


def train_judge(
    chosen: Mapping[str, Any],
    settings: Judge,
    train: Sequence[Utterance],
    dev: Sequence[Utterance],
    seed: int,
    folder: Path,
    work: Path,
) -> None:
    """Train a transcriber by CTC on sound and text, and save it in `folder`; a broken training goes
    on from its checkpoint in `work`. Raises MisfitError for a part that cannot learn, DataError."""
    if is_part(folder):
        return
    torch.manual_seed(seed)
    judge = Chosen.from_dict("transcriber", chosen).build()
    if not hasattr(judge, "logits"):
        raise MisfitError(
            f"the protocol trains its judge, and {type(judge).__name__} comes trained: name one "
            f"that learns (ctc), or leave out 'trained'"
        )
    training = CtcTraining(settings.steps, settings.lr, settings.batch_frames)
    heard, watched = (_listened(judge, some) for some in (train, dev[:DEV]))
    if not heard:
        raise DataError("no training utterance has a text: give a judge that comes trained")
    fit_ctc(judge, heard, watched, training, QuietContext(work, seed))
    origin = judge.origin
    save_part(judge, folder, origin.shelved, origin.options, origin.given)


def _listened(judge: Any, utterances: Sequence[Utterance]) -> list[Heard]:
    """The log-mel and the characters of what has a text."""
    heard = []
    for utterance in utterances:
        text = plain_text(utterance.text or "")
        if not text:
            continue
        with torch.inference_mode():
            wav = torch.from_numpy(read_utterance(utterance, judge.sample_rate))
            log_mel, _ = judge.features(wav[None], torch.tensor([len(wav)]))
        heard.append(Heard(log_mel[0].half().clone(), torch.tensor(judge.ids(text))))
    return heard


def transcribed(judge: Any, wav: np.ndarray, rate: int) -> str:
    """What a judge hears in a wave [n]. Raises AudioError."""
    check_heard(wav)
    text: str = judge.transcribe(*pad_wavs([resampled(wav, rate, judge.sample_rate)]))[0]
    return text


def voice(encoder: Any, wav: np.ndarray, rate: int) -> np.ndarray:
    """The embedding [d], of unit length, of the voice in a wave [n]. Raises AudioError."""
    check_heard(wav)
    vector = encoder.embed(*pad_wavs([resampled(wav, rate, encoder.sample_rate)]))[0]
    unit: np.ndarray = vector.detach().cpu().numpy()
    return unit


def check_heard(wav: np.ndarray) -> None:
    """Raise AudioError for what nobody can listen to."""
    if not len(wav):
        raise AudioError("the copy is empty")
    if not np.isfinite(wav).all():
        raise AudioError("the copy has samples that are NaN or infinite")
