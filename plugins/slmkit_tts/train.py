"""The stage `train-tts`."""

from __future__ import annotations

import torch

from slmkit.api import Segment, StageContext
from slmkit.data.manifest import load_manifest
from slmkit.data.store import TokenStore
from slmkit.generation.measuring import weights_of
from slmkit.lm.saving import save_lm
from slmkit.lm.speechlm import SpeechLM
from slmkit.training.keeping import Keeping
from slmkit.training.lm import fit_lm
from slmkit_tts.examples import STOP, Spoken, spoken
from slmkit_tts.plugin import TrainTtsOptions

CHECKED = 128
"""At most so many held-out examples are scored in the course of a training."""


def train(options: TrainTtsOptions, context: StageContext) -> None:
    """Train from nothing, and leave the model."""
    store = TokenStore.open(context.read("codes"))
    utterances = load_manifest(context.read("manifest") / "manifest.jsonl", check_files=False)
    given = options.roles, options.prompt_seconds, options.goes_on
    learnt = spoken(utterances, store, "train", *given)
    held_out = spoken(utterances, store, "dev", *given)
    torch.manual_seed(context.seed)
    parts = context.part("backbone"), context.part("decoding"), context.part("text")
    lm = SpeechLM.new(*parts, store.spec, STOP)
    train_grids = [lm.lay(example) for example in examples(learnt, context.seed)]
    dev_grids = [lm.lay(example) for example in examples(held_out, 0)[:CHECKED]]
    context.say(f"{len(train_grids)} examples, {sum(g.steps for g in train_grids)} steps")
    for name, count in weights_of(lm).items():
        context.say(f"{name}: {count / 1e6:.2f} M weights")
    keeping = Keeping(lm, context.folder, options.steps, options.kept) if options.kept else None
    fit_lm(lm, train_grids, dev_grids, options, context, [keeping] if keeping else [])
    save_lm(lm, context.folder / "lm")
    learnt.reading.save(context.folder / "lm")


def examples(of: Spoken, seed: int) -> list[list[Segment]]:
    """All examples, each with a voice drawn for it."""
    return [of.example(utterance, voice) for utterance, voice in of.pairs(seed)]
