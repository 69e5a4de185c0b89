"""The stage `train-hybrid`."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import torch

from slmkit.api import DataError, Segment, Speech, StageContext, Text, Utterance
from slmkit.data.manifest import load_manifest
from slmkit.data.store import TokenStore
from slmkit.generation.measuring import weights_of
from slmkit.lm.saving import save_lm
from slmkit.lm.speechlm import SpeechLM
from slmkit.training.lm import fit_lm
from slmkit_hybrid.arrange import ARRANGE, Encode
from slmkit_hybrid.plugin import TrainHybridOptions

ASK, WRITE, STOP = "<ask>", "<write>", "<eoa>"
"""Behind a question: answer it, or write down what it is. And the end of an answer."""

CHECKED = 128
"""At most so many held-out examples are scored in the course of a training."""


def train(options: TrainHybridOptions, context: StageContext) -> None:
    """Train from nothing, and leave the model."""
    store = TokenStore.open(context.read("codes"))
    utterances = load_manifest(context.read("manifest") / "manifest.jsonl", check_files=False)
    torch.manual_seed(context.seed)
    parts = context.part("backbone"), context.part("decoding"), context.part("text")
    lm = SpeechLM.new(*parts, store.spec, ASK, WRITE, STOP)
    built = list(examples(utterances, store, "train", options.arrangement, lm.vocabulary.encode))
    checks = list(examples(utterances, store, "dev", options.arrangement, lm.vocabulary.encode))
    if not built:
        raise DataError("the corpus has no spoken questions with spoken answers to learn from")
    grids = [lm.lay(example) for example in built]
    context.say(f"{len(grids)} examples, {sum(grid.steps for grid in grids)} steps")
    for name, count in weights_of(lm).items():
        context.say(f"{name}: {count / 1e6:.2f} M weights")
    random.Random(0).shuffle(checks)
    fit_lm(lm, grids, [lm.lay(example) for example in checks[:CHECKED]], options, context)
    save_lm(lm, context.folder / "lm")


def examples(
    utterances: Sequence[Utterance],
    store: TokenStore,
    split: str,
    arrangement: str,
    encode: Encode,
) -> Iterator[list[Segment]]:
    """Questions heard and answered, questions read and answered, and questions written down."""
    rate = store.spec.frame_rate
    for question, answer in pairs(utterances, split):
        heard, asked = store.row(question.id).codes, f" {question.text}"
        said = ARRANGE[arrangement](answer, store.row(answer.id).codes, rate, encode)
        reply: list[Segment] = [*said, Text(STOP, learn=True)]
        yield [Speech(heard), Text(ASK), *reply]
        yield [Text(asked + ASK), *reply]
        yield [Speech(heard), Text(WRITE), Text(asked + STOP, learn=True)]


def pairs(utterances: Sequence[Utterance], split: str) -> list[tuple[Utterance, Utterance]]:
    """Spoken questions of a split with their spoken answers."""
    answers = {u.reply_to: u for u in utterances if u.role == "answer" and u.audio and u.text}
    questions = [u for u in utterances if u.role == "question" and u.split == split and u.audio]
    return [(question, answers[question.id]) for question in questions if question.id in answers]
