"""The stage `speechgpt-train`: one of SpeechGPT's stages of training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from slmkit.api import CodeSpec, StageContext
from slmkit.data.manifest import load_manifest
from slmkit.data.store import TokenStore
from slmkit.lm.dialogue import DIALOGUE_FILE, Style
from slmkit.lm.grid import Grid
from slmkit.lm.saving import load_lm, save_lm
from slmkit.lm.speechlm import SpeechLM
from slmkit.lm.vocabulary import END_OF_SPEECH, START_OF_SPEECH, Section, Vocabulary
from slmkit.training.lm import LmTraining, fit_lm
from slmkit_speechgpt.instruct import Example, Spoken, blocks, examples
from slmkit_speechgpt.plugin import TrainOptions
from slmkit_speechgpt.templates import style_of


def train(options: TrainOptions, context: StageContext) -> None:
    """Build the examples, grow the vocabulary to what they need, train, and leave the model."""
    style = style_of(options.style)
    spoken = read_spoken(context)
    built = examples(spoken, options.tasks, style, "train", context.seed)
    held_out = examples(spoken, options.tasks, style, "dev", context.seed)
    if options.block:
        built = blocks(built, options.block)
    torch.manual_seed(context.seed)
    lm = starting_model(context, spoken.store.spec)
    grow(lm, options.tasks, style, spoken.store.spec)
    train_grids = lay(lm, built, options.longest)
    dev_grids = lay(lm, held_out, options.longest)
    tokens = sum(grid.steps for grid in train_grids)
    context.say(f"{len(train_grids)} examples, {tokens} tokens, {lm.vocabulary.size} ids")
    if options.lora_rank:
        adapt(lm, options)
    training = LmTraining(
        steps=options.steps,
        lr=options.lr,
        warmup=options.warmup,
        batch_tokens=options.batch_tokens,
        weight_decay=options.weight_decay,
        clip=options.clip,
        noise=options.noise,
    )
    fit_lm(lm, train_grids, dev_grids, training, context)
    folder = context.folder / "lm"
    if options.lora_rank:
        merge(lm, folder)
    save_lm(lm, folder)
    (folder / DIALOGUE_FILE).write_text(json.dumps(style.to_dict(), indent=1) + "\n")


def read_spoken(context: StageContext) -> Spoken:
    """The corpus and its units, from the stages above."""
    manifest = context.read("manifest") / "manifest.jsonl"
    utterances = load_manifest(manifest, check_files=False)
    return Spoken(utterances, TokenStore.open(context.read("codes")))


def starting_model(context: StageContext, spec: CodeSpec) -> SpeechLM:
    """The model of the stage above, or a new one that knows only text."""
    above = context.left("lm")
    if above is not None:
        return load_lm(above)
    vocabulary = Vocabulary(context.part("text"))
    lm = SpeechLM(context.part("backbone"), context.part("decoding"), vocabulary, spec)
    lm.adopt_pretrained(getattr(lm.backbone, "pretrained_embeddings", lambda: None)())
    return lm


def grow(lm: SpeechLM, tasks: dict[str, int], style: Style, spec: CodeSpec) -> None:
    """Add units, then the words of the dialogue, once a task needs them."""
    if set(tasks) - {"world", "text"} and not lm.vocabulary.codebooks:
        units = [Section.codes(size, k) for k, size in enumerate(spec.codebook_sizes)]
        lm.extend(*units, Section.special(START_OF_SPEECH, END_OF_SPEECH))
    if set(tasks) - {"world", "speech"} and style.specials[0] not in lm.vocabulary:
        lm.extend(Section.special(*style.specials))


def lay(lm: SpeechLM, built: Sequence[Example], longest: int) -> list[Grid]:
    """The examples on grids, cut to the longest length."""
    grids = (lm.layout.lay(example, lm.vocabulary) for example in built)
    return [grid.cut(longest) for grid in grids]


def adapt(lm: SpeechLM, options: TrainOptions) -> None:
    """Freeze the model and give its attention projections low-rank updates (Hu et al. 2021)."""
    from peft import LoraConfig, inject_adapter_in_model

    lm.requires_grad_(False)
    config = LoraConfig(
        r=options.lora_rank,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.lora_dropout,
        target_modules=list(options.lora_targets),
    )
    inject_adapter_in_model(config, lm.backbone)


def merge(lm: SpeechLM, folder: Path) -> None:
    """Keep the adapter as a file of its own, then fold it into the weights."""
    from peft import get_peft_model_state_dict
    from peft.tuners.lora import LoraLayer
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    adapter = {name: t.contiguous() for name, t in get_peft_model_state_dict(lm.backbone).items()}
    save_file(adapter, folder / "adapter.safetensors")
    layers: dict[str, Any] = {
        name: module
        for name, module in lm.backbone.named_modules()
        if isinstance(module, LoraLayer)
    }
    for name, layer in layers.items():
        layer.merge()
        owner, _, last = name.rpartition(".")
        setattr(lm.backbone.get_submodule(owner), last, layer.get_base_layer())
    lm.requires_grad_(True)
