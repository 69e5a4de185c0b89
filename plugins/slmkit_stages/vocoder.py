"""The stages `train-vocoder` and `fit-vocoder`: a vocoder learns the corpus's units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from slmkit.api import Codes, DataError, MisfitError, StageContext, Utterance
from slmkit.codecs.hifigan import UnitHifiGan
from slmkit.data.audio import read_utterance
from slmkit.data.batches import pad_wavs
from slmkit.data.manifest import load_manifest
from slmkit.data.shards import StoredCodes
from slmkit.data.store import TokenStore
from slmkit.training.vocoder import Spoken, VocoderTraining, fit_unit_vocoder
from slmkit_stages.plugin import FitVocoderOptions, TrainVocoderOptions
from slmkit_stages.prepare import MANIFEST
from slmkit_stages.voices import voiced


def train_vocoder(options: TrainVocoderOptions, context: StageContext) -> None:
    """Train the slot `vocoder` by gradients. Raises MisfitError for one that has none."""
    store = TokenStore.open(context.read("codes"))
    vocoder = context.fresh("vocoder", spec=store.spec)
    generator = getattr(vocoder, "generator", None)
    if not isinstance(generator, UnitHifiGan):
        raise MisfitError(
            f"train-vocoder trains unit HiFi-GANs; {type(vocoder).__name__} learns by "
            f"`fit-vocoder`, or not at all"
        )
    utterances = chosen(context, options.roles, options.utterances)
    utterances, embeddings = voiced(vocoder, generator.sizes, utterances, options.voices, context)
    with context.progress("reading audio", len(utterances)) as progress:
        spoken = []
        for count, utterance in enumerate(utterances, 1):
            row = store.row(utterance.id)
            wav = read_utterance(utterance, vocoder.sample_rate)
            voice = utterance.speaker, embeddings.get(utterance.id)
            spoken.append(Spoken(*merged(row, store), wav, *voice))
            progress(count)
    training = VocoderTraining(
        steps=options.steps,
        lr=options.lr,
        batch=options.batch,
        frames=options.frames,
        mel=options.mel,
        stft=options.stft,
        duration=options.duration,
        adversarial=options.adversarial,
        feature=options.feature,
        decay=options.decay,
        weight_norm=options.weight_norm,
    )
    torch.manual_seed(context.seed)
    fit_unit_vocoder(generator, vocoder.sample_rate, spoken, training, context)
    context.keep("vocoder", vocoder)


def merged(row: StoredCodes, store: TokenStore) -> tuple[np.ndarray, np.ndarray]:
    """Units of which no neighbours are equal, and how long each lasts: [u], [u]."""
    if row.durations is not None:
        return row.codes[0], row.durations
    codes = Codes.pad([torch.from_numpy(row.codes)], store.spec).deduplicate()
    assert codes.durations is not None, "merging tells durations"
    return codes.values[0, 0].numpy(), codes.durations[0].numpy()


def fit_vocoder(options: FitVocoderOptions, context: StageContext) -> None:
    """Let the slot `vocoder` learn by statistics."""
    store = TokenStore.open(context.read("codes"))
    vocoder = context.fresh("vocoder", spec=store.spec)
    utterances = chosen(context, options.roles, options.utterances)
    vocoder.fit(pairs(utterances, store, vocoder.sample_rate, context))
    context.keep("vocoder", vocoder)


def chosen(context: StageContext, roles: list[str], most: int) -> list[Utterance]:
    """Training utterances of these roles, each sound once. Raises DataError."""
    found: dict[tuple[object, ...], Utterance] = {}
    for utterance in load_manifest(context.read("manifest") / MANIFEST):
        wanted = not roles or utterance.role in roles
        if utterance.audio and utterance.split == "train" and wanted:
            place = (utterance.audio, utterance.start, utterance.duration)
            found.setdefault(place, utterance)
    if not found:
        raise DataError(f"the corpus has no training audio of the roles {', '.join(roles)}")
    return list(found.values())[:most]


def pairs(
    utterances: list[Utterance], store: TokenStore, sample_rate: int, context: StageContext
) -> Iterator[tuple[Codes, torch.Tensor, torch.Tensor]]:
    """(codes, wav, lengths) of the utterances, one by one."""
    with context.progress("reading audio", len(utterances)) as progress:
        for count, utterance in enumerate(utterances, 1):
            row = store.row(utterance.id)
            durations = None if row.durations is None else [torch.from_numpy(row.durations)]
            codes = Codes.pad([torch.from_numpy(row.codes)], store.spec, durations)
            yield (codes, *pad_wavs([read_utterance(utterance, sample_rate)]))
            progress(count)
