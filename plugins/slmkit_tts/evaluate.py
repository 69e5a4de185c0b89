"""The stage `evaluate-tts`. Letters: k (codebook), t (frame), n (sample)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from slmkit.api import (
    AudioError,
    Codes,
    Result,
    Segment,
    Speech,
    StageContext,
    Text,
    Tokenizer,
    Utterance,
)
from slmkit.codecs.decoding_vocoder import as_vocoder
from slmkit.data.audio import read_utterance, write_audio
from slmkit.data.batches import pad_wavs
from slmkit.data.intervals import bootstrap, measure
from slmkit.data.manifest import load_manifest
from slmkit.data.store import TokenStore
from slmkit.generation.loop import complete
from slmkit.generation.measuring import longest_speech, sizes, times
from slmkit.generation.sampling import Sampling
from slmkit.host import build
from slmkit.lm.saving import load_lm
from slmkit.lm.speechlm import SpeechLM
from slmkit_tts.examples import STOP, spoken
from slmkit_tts.plugin import EvaluateTtsOptions


@dataclass(frozen=True, eq=False)
class Said:
    """A text that was spoken, or a true utterance that was copied.

    Attributes:
        codes: int64 [k, t].
        wav: float32 [n].
    """

    utterance: Utterance
    voice: Utterance | None
    codes: np.ndarray
    wav: np.ndarray


def evaluate(options: EvaluateTtsOptions, context: StageContext) -> None:
    """Speak, judge, time; leave sounds for the report. What did not come counts as wrong."""
    store = TokenStore.open(context.read("codes"))
    utterances = load_manifest(context.read("manifest") / "manifest.jsonl")
    asked = spoken(utterances, store, options.split, options.roles, options.prompt_seconds)
    pairs = list(asked.pairs(0))[: options.items]
    lm, tokenizer = load_lm(context.read("lm")), context.part("tokenizer")
    sampling = sampling_of(options, lm, context.seed)
    prompts = [asked.question(*pair) for pair in pairs]
    said = sounds(tokenizer, pairs, say(lm, prompts, sampling, options.batch, context))
    copies = sounds(tokenizer, pairs, [asked.codes(utterance) for utterance, _ in pairs])
    answers = [[Speech(each.codes)] for each in said if each.codes.shape[1]]
    for row in (
        *judged(said, "", options.split, context),
        *judged(copies, "/copy", options.split, context),
        *sizes(lm, answers, options.split),
        *times(lm, prompts[: options.timed], sampling, options.split),
    ):
        name = f"{options.label}/{row.metric}" if options.label else row.metric
        context.result(replace(row, metric=name))
    rate = tokenizer.spec.output_sample_rate or tokenizer.spec.sample_rate
    keep_sounds(said[: options.sounds], copies, rate, options.label, context)


def say(
    lm: SpeechLM,
    prompts: Sequence[Sequence[Segment]],
    sampling: Sampling,
    batch: int,
    context: StageContext,
) -> list[np.ndarray]:
    """The codes [k, t] of each answer."""
    codes: list[np.ndarray] = []
    with context.progress("speaking", len(prompts)) as progress:
        for start in range(0, len(prompts), batch):
            some = prompts[start : start + batch]
            answers = complete(lm, some, sampling, range(start, start + len(some)))
            codes += [speech_of(answer, lm.spec.codebooks) for answer in answers]
            progress(len(codes))
    return codes


def sampling_of(options: EvaluateTtsOptions, lm: SpeechLM, seed: int) -> Sampling:
    """The settings, with as many steps as the longest speech may take in this layout."""
    frames = round(options.longest_seconds * lm.spec.frame_rate)
    return Sampling(
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        most=longest_speech(lm, frames) + 1,
        stop=(STOP,),
        seed=seed,
    )


def speech_of(answer: Sequence[Segment], codebooks: int) -> np.ndarray:
    """The codes [k, t] of what was said."""
    nothing = np.zeros((codebooks, 0), dtype=np.int64)
    return np.concatenate([nothing, *(s.codes for s in answer if not isinstance(s, Text))], axis=1)


def sounds(
    tokenizer: Tokenizer,
    pairs: Sequence[tuple[Utterance, Utterance | None]],
    codes: Sequence[np.ndarray],
) -> list[Said]:
    """The sound of codes; none of no codes."""
    vocoder, said = as_vocoder(tokenizer), []
    for (utterance, voice), each in zip(pairs, codes, strict=True):
        wav = np.zeros(0, dtype=np.float32)
        if each.shape[1]:
            one = Codes.pad([torch.from_numpy(each)], tokenizer.spec)
            decoded, lengths = vocoder.synthesize(one)
            wav = decoded[0, : int(lengths[0])].numpy()
        said.append(Said(utterance, voice, each, wav))
    return said


def judged(said: Sequence[Said], name: str, split: str, context: StageContext) -> Iterator[Result]:
    """The judge's word error rate, and the likeness to the voice that was asked for."""
    judge: Any = context.part("judge")
    heard = []
    for each in said:
        wav, lengths = pad_wavs([each.wav])
        heard.append(judge.transcribe(wav, lengths)[0] if len(each.wav) else "")
    texts = [(h, each.utterance.text or "") for h, each in zip(heard, said, strict=True)]
    yield measure(build("metric", "wer"), f"wer{name}", split, texts)
    alike = list(likenesses(said, context.part("voices")))
    if alike:
        value, low, high = bootstrap(alike, [1.0] * len(alike))
        yield Result(f"similarity{name}", split, value, low, high, len(alike))


def likenesses(said: Sequence[Said], encoder: Any) -> Iterator[float]:
    """The cosine between each voice and the recording of its prompt; what has no sound, or none in
    which a voice is heard, is like nobody: 0."""
    for each in said:
        if each.voice is None:
            continue
        recording = encoder.embed(*pad_wavs([read_utterance(each.voice, encoder.sample_rate)]))[0]
        try:
            spoken = encoder.embed(*pad_wavs([each.wav]))[0]
        except AudioError:
            yield 0.0
            continue
        yield float(spoken @ recording)


def keep_sounds(
    said: Sequence[Said], copies: Sequence[Said], rate: int, label: str, context: StageContext
) -> None:
    """What was said, beside the copy of the true utterance, for the report."""
    folder = context.folder / "sounds"
    folder.mkdir(exist_ok=True)
    rows = []
    for each, copy in zip(said, copies, strict=False):
        sounds = {}
        for name, wav in (("spoken", each.wav), ("copy", copy.wav)):
            if len(wav):
                sounds[name] = f"sounds/{each.utterance.id}-{name}.flac"
                write_audio(context.folder / sounds[name], wav, rate)
        texts = {"text": each.utterance.text}
        rows.append({"title": each.utterance.id, "texts": texts, "sounds": sounds,
                     "spectrogram": "spoken"})  # fmt: skip
    block = {
        "type": "sounds",
        "title": f"Held-out texts, spoken ({label})" if label else "Held-out texts, spoken",
        "note": "The copy is the true utterance, coded and decoded.",
        "rows": rows,
    }
    (context.folder / "report.json").write_text(json.dumps([block], indent=1) + "\n")
