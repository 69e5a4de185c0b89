"""The stage `evaluate-hybrid`. Letters: k (codebook), t (frame)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from slmkit.api import Aligned, Codes, DataError, Segment, Segments, Speech, StageContext, Text
from slmkit.data.batches import pad_wavs
from slmkit.data.intervals import measure
from slmkit.data.manifest import load_manifest
from slmkit.data.store import TokenStore
from slmkit.generation.loop import complete
from slmkit.generation.measuring import longest_speech, sizes, times
from slmkit.generation.sampling import Sampling
from slmkit.host import build
from slmkit.lm.saving import load_lm
from slmkit.lm.speechlm import SpeechLM
from slmkit_hybrid.plugin import EvaluateHybridOptions
from slmkit_hybrid.train import ASK, STOP, pairs

ROOM_FOR_TEXT = 80
"""Steps that an answer may take beside those of its speech."""


def evaluate(options: EvaluateHybridOptions, context: StageContext) -> None:
    """Ask aloud, read and hear, measure. What did not come counts as wrong."""
    store = TokenStore.open(context.read("codes"))
    utterances = load_manifest(context.read("manifest") / "manifest.jsonl", check_files=False)
    asked = pairs(utterances, options.split)[: options.items]
    if not asked:
        raise DataError(f"the corpus has no spoken questions in the split '{options.split}'")
    lm = load_lm(context.read("lm"))
    frames = round(options.longest_seconds * lm.spec.frame_rate)
    most = longest_speech(lm, frames) + ROOM_FOR_TEXT
    sampling = Sampling(temperature=0, most=most, stop=(STOP,))
    prompts: list[Segments] = [
        [Speech(store.row(question.id).codes), Text(ASK)] for question, _ in asked
    ]
    answers: list[list[Segment]] = []
    with context.progress("asking", len(prompts)) as progress:
        for start in range(0, len(prompts), options.batch):
            answers += complete(lm, prompts[start : start + options.batch], sampling)
            progress(len(answers))
    due = [answer.text or "" for _, answer in asked]
    written = [text_of(answer, lm) for answer in answers]
    heard = heard_in(answers, lm, context)
    wer, exact = build("metric", "wer"), build("metric", "exact")
    rows = [
        measure(exact, "answer-exact", options.split, zip(written, due, strict=True)),
        measure(exact, "heard-exact", options.split, zip(heard, due, strict=True)),
        measure(wer, "answer-wer", options.split, zip(written, due, strict=True)),
        measure(wer, "heard-wer", options.split, zip(heard, due, strict=True)),
        *sizes(lm, answers, options.split),
        *times(lm, prompts[: options.timed], sampling, options.split),
    ]
    for row in rows:
        name = f"{options.label}/{row.metric}" if options.label else row.metric
        context.result(replace(row, metric=name))


def text_of(answer: Segments, lm: SpeechLM) -> str:
    """What an answer says in writing, wherever it stands."""
    parts = []
    for segment in answer:
        if isinstance(segment, Text):
            parts.append(segment.text)
        elif isinstance(segment, Aligned):
            parts.append(lm.vocabulary.text.decode([i for i in segment.text_ids if i >= 0]))
    return " ".join("".join(parts).replace(STOP, "").split())


def heard_in(answers: Sequence[Segments], lm: SpeechLM, context: StageContext) -> list[str]:
    """What the judge hears in each answer; nothing in one without speech."""
    vocoder: Any = context.part("vocoder", lm.spec)
    judge: Any = context.part("judge")
    heard = []
    for answer in answers:
        said = [segment.codes for segment in answer if not isinstance(segment, Text)]
        codes = np.concatenate(said, axis=1) if said else np.zeros((lm.spec.codebooks, 0), int)
        if not codes.shape[1]:
            heard.append("")
            continue
        with torch.inference_mode():
            wav, lengths = vocoder.synthesize(Codes.pad([torch.from_numpy(codes)], lm.spec))
            heard += judge.transcribe(*pad_wavs([wav[0, : int(lengths[0])].numpy()]))
    return heard
