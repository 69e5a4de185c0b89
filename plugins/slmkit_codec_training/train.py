"""The stage `train-codec`: a codec learns from the corpus's sound."""

from __future__ import annotations

import random
from collections.abc import Iterator

import torch

from slmkit.api import DataError, MisfitError, StageContext, Tokenizer, Utterance
from slmkit.codecs.codec import SeanetCodec
from slmkit.data.audio import Wave, read_utterance
from slmkit.data.intervals import measure
from slmkit.data.manifest import load_manifest
from slmkit.host import build
from slmkit.training.codec import fit_codec
from slmkit.training.distillation import lesson_of
from slmkit_codec_training.plugin import TrainCodecOptions

MANIFEST = "manifest.jsonl"


def train_codec(options: TrainCodecOptions, context: StageContext) -> None:
    """Train the slot `tokenizer` by gradients. Raises MisfitError for one that has none."""
    torch.manual_seed(context.seed)
    tokenizer = context.fresh("tokenizer")
    codec = getattr(tokenizer, "codec", None)
    if not isinstance(codec, SeanetCodec):
        raise MisfitError(
            f"train-codec trains codecs of a SEANet; {type(tokenizer).__name__} learns by the "
            f"stage `fit`, or comes trained"
        )
    lesson = None
    if options.teacher:
        frame_rate = codec.sample_rate / codec.sizes.hop_length
        teacher = context.part(options.teacher)
        lesson = lesson_of(teacher, options.lesson, codec.sizes.width, frame_rate)
    every = load_manifest(context.read("manifest") / MANIFEST)
    train = sounding(every, "train", options.roles)
    if options.utterances:
        count = min(options.utterances, len(train))
        train = random.Random(context.seed).sample(train, count)
    if not train:
        raise DataError("the corpus has no training audio of the roles " + ", ".join(options.roles))
    dev = sounding(every, "dev", options.roles)[: options.checks]
    fit_codec(codec, train, dev, options, lesson, context)
    context.keep("tokenizer", tokenizer)
    if dev:
        rate = tokenizer.spec.sample_rate
        pairs = list(copies(tokenizer, dev))
        distance = build("metric", "mel-distance")
        context.result(measure(distance, "mel-distance/codec", "dev", pairs, sample_rate=rate))


def copies(tokenizer: Tokenizer, utterances: list[Utterance]) -> Iterator[tuple[Wave, Wave]]:
    """(copy, true) of each utterance, coded and decoded."""
    for utterance in utterances:
        wav = read_utterance(utterance, tokenizer.spec.sample_rate)
        codes = tokenizer.encode(torch.from_numpy(wav)[None], torch.tensor([len(wav)]))
        yield tokenizer.decode(codes)[0][0, : len(wav)].numpy(), wav


def sounding(utterances: list[Utterance], split: str, roles: list[str]) -> list[Utterance]:
    """Utterances of a split and these roles (none: all) that have sound, each sound once."""
    found: dict[tuple[object, ...], Utterance] = {}
    for utterance in utterances:
        wanted = utterance.split == split and (not roles or utterance.role in roles)
        if wanted and utterance.audio:
            found.setdefault((utterance.audio, utterance.start, utterance.duration), utterance)
    return list(found.values())
