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
    Speech,
    StageContext,
    Tokenizer,
    Utterance,
)
from slmkit.codecs.decoding_vocoder import as_vocoder
from slmkit.data.audio import read_utterance, write_audio
from slmkit.data.batches import pad_wavs
from slmkit.data.intervals import bootstrap, measure, proportion
from slmkit.data.manifest import load_manifest
from slmkit.data.store import TokenStore
from slmkit.generation.attempts import FAILURES, Attempt, attempts
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
    limits = limits_of(options, lm, [utterance for utterance, _ in pairs])
    with context.progress("speaking", len(prompts)) as progress:
        tried = attempts(lm, prompts, sampling, limits, options.batch, options.retries, progress)
    said = sounds(tokenizer, pairs, [each.codes for each in tried])
    copies = sounds(tokenizer, pairs, [asked.codes(utterance) for utterance, _ in pairs])
    answers = [[Speech(each.codes)] for each in said if each.codes.shape[1]]
    for row in (
        *judged(said, "", options.split, context),
        *failures(tried, options.split),
        *judged(copies, "/copy", options.split, context),
        *sizes(lm, answers, options.split),
        *times(lm, prompts[: options.timed], sampling, options.split),
    ):
        name = f"{options.label}/{row.metric}" if options.label else row.metric
        context.result(replace(row, metric=name))
    rate = tokenizer.spec.output_sample_rate or tokenizer.spec.sample_rate
    keep_sounds(said[: options.sounds], copies, rate, options.label, context)


def limits_of(options: EvaluateTtsOptions, lm: SpeechLM, asked: Sequence[Utterance]) -> list[int]:
    """Frames that each text may take at most, by what there is to pronounce in it."""
    texts = [u.text or "" for u in asked]
    seconds = [1 + options.seconds_per_symbol * len(lm.vocabulary.text.encode(t)) for t in texts]
    return [round(min(s, options.longest_seconds) * lm.spec.frame_rate) for s in seconds]


def sampling_of(options: EvaluateTtsOptions, lm: SpeechLM, seed: int) -> Sampling:
    """The settings, with as many steps as the longest speech may take in this layout."""
    frames = round(options.longest_seconds * lm.spec.frame_rate)
    return Sampling(
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        most=longest_speech(lm, frames) + 1,
        stop=(STOP,),
        refine_frames=options.refine_frames,
        seed=seed,
    )


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


def failures(tried: Sequence[Attempt], split: str) -> Iterator[Result]:
    """The share of texts whose last attempt failed, whole and by what went wrong, and how many
    attempts there were for each text."""
    for name, kinds in (("failed", FAILURES), *((f"failed/{k}", (k,)) for k in FAILURES)):
        share = proportion(sum(each.failure in kinds for each in tried), len(tried))
        yield Result(name, split, *(100 * s for s in share), len(tried), "%", "lower")
    tries = [float(each.tries) for each in tried]
    yield Result("tries", split, *bootstrap(tries, [1.0] * len(tries)), len(tries), "", "lower")


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
