"""The stage `speechgpt-train`: one of SpeechGPT's stages of training."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import (
    LoraConfig,
    get_peft_model_state_dict,
    inject_adapter_in_model,
    set_peft_model_state_dict,
)
from peft.tuners.lora import LoraLayer
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from slmkit.api import CodeSpec, StageContext, WeightsError
from slmkit.data.manifest import load_manifest
from slmkit.data.store import TokenStore
from slmkit.lm.dialogue import DIALOGUE_FILE, Style
from slmkit.lm.grid import Grid
from slmkit.lm.saving import load_lm, save_lm
from slmkit.lm.speechlm import SpeechLM
from slmkit.lm.vocabulary import END_OF_SPEECH, START_OF_SPEECH, Section, Vocabulary
from slmkit.training.lm import fit_lm
from slmkit_speechgpt.instruct import Example, Spoken, blocks, examples
from slmkit_speechgpt.plugin import TrainOptions
from slmkit_speechgpt.templates import style_of

CHECKED = 192
"""At most so many held-out examples are scored in the course of a training."""


def train(options: TrainOptions, context: StageContext) -> None:
    """Build the examples, grow the vocabulary to what they need, train, and leave the model."""
    style = style_of(options.style)
    spoken = read_spoken(context)
    built = examples(spoken, options.tasks, style, "train", context.seed)
    # once is enough to check on, however often a task is learnt
    once = {task: min(copies, 1) for task, copies in options.tasks.items()}
    held_out = examples(spoken, once, style, "dev", context.seed)
    random.Random(context.seed).shuffle(held_out)
    if options.block:
        built = blocks(built, options.block)
    torch.manual_seed(context.seed)
    above = context.left("lm")
    lm = new_model(context, spoken.store.spec) if above is None else load_lm(above)
    grow(lm, options.tasks, style)
    if above is None:
        lm.adopt_pretrained(getattr(lm.backbone, "pretrained_embeddings", lambda: None)())
    if options.adapter:
        fold_in(lm, Path(options.adapter))
    train_grids = lay(lm, built, options.longest)
    dev_grids = lay(lm, held_out[:CHECKED], options.longest)
    tokens = sum(grid.steps for grid in train_grids)
    context.say(f"{len(train_grids)} examples, {tokens} tokens, {lm.vocabulary.size} ids")
    if options.steps == 0:
        keep(lm, style, context.folder / "lm")
        return
    if options.lora_rank:
        adapt(lm, options)
    fit_lm(lm, train_grids, dev_grids, options, context)
    folder = context.folder / "lm"
    if options.lora_rank:
        write_adapter(lm, folder)
        merge(lm)
    keep(lm, style, folder)


def keep(lm: SpeechLM, style: Style, folder: Path) -> None:
    """Leave the model with the style that it was taught in."""
    save_lm(lm, folder)
    (folder / DIALOGUE_FILE).write_text(json.dumps(style.to_dict(), indent=1) + "\n")


def read_spoken(context: StageContext) -> Spoken:
    """The corpus and its units, from the stages above."""
    manifest = context.read("manifest") / "manifest.jsonl"
    utterances = load_manifest(manifest, check_files=False)
    return Spoken(utterances, TokenStore.open(context.read("codes")))


def new_model(context: StageContext, spec: CodeSpec) -> SpeechLM:
    """A model that knows only text."""
    vocabulary = Vocabulary(context.part("text"))
    return SpeechLM(context.part("backbone"), context.part("decoding"), vocabulary, spec)


def grow(lm: SpeechLM, tasks: dict[str, int], style: Style) -> None:
    """Add units, then the words of the dialogue, once a task needs them."""
    kinds = {task.partition("/")[0] for task in tasks}
    if kinds - {"world", "text"} and not lm.vocabulary.codebooks:
        units = [Section.codes(size, k) for k, size in enumerate(lm.coarse.codebook_sizes)]
        lm.extend(*units, Section.special(START_OF_SPEECH, END_OF_SPEECH))
    if kinds - {"world", "speech"} and style.specials[0] not in lm.vocabulary:
        lm.extend(Section.special(*style.specials))


def lay(lm: SpeechLM, built: Sequence[Example], longest: int) -> list[Grid]:
    """The examples on grids, cut to the longest length."""
    grids = (lm.lay(example) for example in built)
    return [grid.cut(longest) for grid in grids]


def adapt(lm: SpeechLM, options: TrainOptions) -> None:
    """Freeze the model and give its attention projections low-rank updates (Hu et al. 2021)."""
    config = LoraConfig(
        r=options.lora_rank,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.lora_dropout,
        target_modules=list(options.lora_targets),
    )
    lm.requires_grad_(False)
    inject_adapter_in_model(config, lm.backbone)


def write_adapter(lm: SpeechLM, folder: Path) -> None:
    """Keep the low-rank updates as a file of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    state = get_peft_model_state_dict(lm.backbone)
    adapter = {name: tensor.detach().contiguous() for name, tensor in state.items()}
    save_file(adapter, folder / "adapter.safetensors")


def merge(lm: SpeechLM) -> None:
    """Fold the low-rank updates into the weights and take the adapter out again."""
    modules: dict[str, Any] = dict(lm.backbone.named_modules())
    for name, layer in modules.items():
        if not isinstance(layer, LoraLayer):
            continue
        layer.merge()
        owner, _, last = name.rpartition(".")
        setattr(lm.backbone.get_submodule(owner), last, layer.get_base_layer())
    lm.requires_grad_(True)


def fold_in(lm: SpeechLM, folder: Path) -> None:
    """Fold a published adapter (`adapter_config.json`, `adapter_model.safetensors`) into the
    weights. Raises WeightsError where it does not fit key by key.
    """
    try:
        config = LoraConfig.from_pretrained(str(folder))
        published = load_file(folder / "adapter_model.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise WeightsError(f"{folder}: no LoRA adapter here: {error}") from None
    inject_adapter_in_model(config, lm.backbone)
    due = get_peft_model_state_dict(lm.backbone)
    given = {re.sub(r"^(base_model\.)?(model\.)*", "", name): t for name, t in published.items()}
    if given.keys() != due.keys():
        odd = sorted(given.keys() ^ due.keys())
        raise WeightsError(f"{folder}: the adapter does not fit the backbone: {', '.join(odd[:3])}")
    set_peft_model_state_dict(lm.backbone, given)
    merge(lm)
