"""The stage `compare-vocoders`: two vocoders on the same held-out units."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from slmkit.api import (
    DataError,
    Metric,
    Result,
    SpeakerEncoder,
    StageContext,
    Utterance,
    Vocoder,
)
from slmkit.codecs.decoding_vocoder import as_vocoder
from slmkit.data.audio import read_utterance, write_audio
from slmkit.data.batches import pad_wavs
from slmkit.data.intervals import bootstrap, measure
from slmkit.data.manifest import load_manifest
from slmkit.data.store import TokenStore
from slmkit.host import build
from slmkit_stages.plugin import CompareOptions
from slmkit_stages.prepare import MANIFEST
from slmkit_stages.voices import embedded, likenesses, strangers, told

SLOTS = ("vocoder", "baseline")


def compare_vocoders(options: CompareOptions, context: StageContext) -> None:
    """Speak held-out true units, with their true durations, by both; measure against the original.

    True durations keep every frame at its place, which mel distance and STOI need; they are given
    to both, and for the judge's WER as well. With a speaker encoder, how alike voices are; one that
    is told to a vocoder is shown by another utterance of the speaker.
    """
    store = TokenStore.open(context.read("codes"))
    utterances = chosen(context, options)
    encoder: SpeakerEncoder | None = context.part(options.voices) if options.voices else None
    embeddings: dict[str, np.ndarray] = {}
    if encoder is not None:
        embeddings = embedded(utterances, encoder, context)
        utterances = [one for one in utterances if one.id in embeddings]
    originals = [read_utterance(u, store.spec.sample_rate) for u in utterances]
    copies: dict[str, list[np.ndarray]] = {}
    for slot in SLOTS:
        vocoder = as_vocoder(context.part(slot, store.spec))
        voices = told(vocoder, utterances, embeddings)
        with context.progress(f"{slot} speaking", len(utterances)) as progress:
            copies[slot] = []
            for utterance, original, voice in zip(utterances, originals, voices, strict=True):
                wav = speak(vocoder, store, utterance, voice)
                copies[slot].append(np.pad(wav, (0, max(0, len(original) - len(wav)))))
                progress(len(copies[slot]))
    measured(utterances, originals, copies, options.split, context)
    if encoder is not None:
        alike = {s: list(likenesses(copies[s], utterances, embeddings, encoder)) for s in SLOTS}
        alike["strangers"] = list(strangers(utterances, embeddings))
        for name, cosines in alike.items():
            if cosines:
                value, low, high = bootstrap(cosines, [1.0] * len(cosines))
                row = f"similarity/{name}", options.split, value, low, high, len(cosines)
                context.result(Result(*row))
    keep_sounds(utterances, originals, copies, context)


def measured(
    utterances: Sequence[Utterance],
    originals: Sequence[np.ndarray],
    copies: Mapping[str, Sequence[np.ndarray]],
    split: str,
    context: StageContext,
) -> None:
    """The judge's WER of originals and copies, and how far the copies are from the originals."""
    judge: Any = context.part("judge")
    for name, waves in {"original": originals, **copies}.items():
        heard = transcribed(judge, waves)
        texts = [(h, u.text or "") for h, u in zip(heard, utterances, strict=True)]
        context.result(measure(build("metric", "wer"), f"wer/{name}", split, texts))
        if name == "original":
            continue
        pairs = list(zip(waves, originals, strict=True))
        for metric in ("mel-distance", "stoi"):
            part = build("metric", metric)
            if fit := long_enough(part, pairs, f"{metric}/{name}", context):
                context.result(measure(part, f"{metric}/{name}", split, fit))


def chosen(context: StageContext, options: CompareOptions) -> list[Utterance]:
    """Held-out utterances of the vocoder's voice, each sound once. Raises DataError."""
    found: dict[object, Utterance] = {}
    for utterance in load_manifest(context.read("manifest") / MANIFEST):
        wanted = utterance.split == options.split and utterance.audio and utterance.text
        if wanted and (not options.roles or utterance.role in options.roles):
            found.setdefault((utterance.audio, utterance.start), utterance)
    if not found:
        raise DataError(f"the corpus has no audio of the split '{options.split}' to compare on")
    return list(found.values())[: options.items]


def speak(
    vocoder: Vocoder, store: TokenStore, utterance: Utterance, voice: torch.Tensor | None
) -> np.ndarray:
    """A vocoder's wave [n] of an utterance's stored units."""
    wav, lengths = vocoder.synthesize(store.row(utterance.id).alone(store.spec), voice)
    spoken: np.ndarray = wav[0, : int(lengths[0])].numpy()
    return spoken


def transcribed(judge: Any, waves: Sequence[np.ndarray], batch: int = 25) -> list[str]:
    """What the judge hears in each wave."""
    heard: list[str] = []
    for start in range(0, len(waves), batch):
        heard += judge.transcribe(*pad_wavs(list(waves[start : start + batch])))
    return heard


Pair = tuple[np.ndarray, np.ndarray]


def long_enough(
    metric: Metric, pairs: Sequence[Pair], name: str, context: StageContext
) -> list[Pair]:
    """The pairs whose original a metric can score; of how many it cannot (STOI: below 0.4 s) is
    said. A faulty copy stays in, and will stop the stage."""
    fit = []
    for pair in pairs:
        try:
            metric.score(pair[1], pair[1])
        except DataError:
            continue
        fit.append(pair)
    if len(fit) < len(pairs):
        context.say(f"{name}: {len(pairs) - len(fit)} of {len(pairs)} are too short to be measured")
    return fit


def keep_sounds(
    utterances: Sequence[Utterance],
    originals: Sequence[np.ndarray],
    copies: dict[str, list[np.ndarray]],
    context: StageContext,
) -> None:
    """The first few for the report: the original, and each vocoder's copy of it."""
    folder = context.folder / "sounds"
    folder.mkdir(exist_ok=True)
    rows = []
    for index, utterance in enumerate(utterances[:3]):
        sounds = {}
        for name, wav in {
            "original": originals[index],
            **{s: c[index] for s, c in copies.items()},
        }.items():
            write_audio(folder / f"{utterance.id}-{name}.flac", wav, 16000)
            sounds[name] = f"sounds/{utterance.id}-{name}.flac"
        texts = {"said": utterance.text}
        rows.append(
            {"title": utterance.id, "texts": texts, "sounds": sounds, "spectrogram": "vocoder"}
        )
    block = {
        "type": "sounds",
        "title": "The vocoder's copy of held-out utterances",
        "note": "True units with their true durations.",
        "rows": rows,
    }
    (context.folder / "report.json").write_text(json.dumps([block], indent=1) + "\n")
