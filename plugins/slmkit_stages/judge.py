"""The stages `train-judge` and `check-judge`: a transcriber learns the corpus's sound, and is held
to what it has not heard."""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

from slmkit.api import DataError, MisfitError, StageContext, Utterance
from slmkit.data.audio import read_utterance
from slmkit.data.batches import pad_wavs
from slmkit.data.intervals import measure
from slmkit.data.manifest import load_manifest
from slmkit.host import build
from slmkit.training.ctc import CtcTraining, Heard, fit_ctc
from slmkit_stages.plugin import CheckJudgeOptions, TrainJudgeOptions
from slmkit_stages.prepare import MANIFEST


def train_judge(options: TrainJudgeOptions, context: StageContext) -> None:
    """Train the slot `judge` on audio and text, never on units. Raises MisfitError, DataError."""
    torch.manual_seed(context.seed)
    judge = context.fresh("judge")
    if not hasattr(judge, "logits"):
        raise MisfitError(
            f"train-judge trains transcribers by CTC; {type(judge).__name__} comes trained, leave "
            f"the stage out"
        )
    training = CtcTraining(
        steps=options.steps,
        lr=options.lr,
        batch_frames=options.batch_frames,
        weight_decay=options.weight_decay,
    )
    heard = few_sentences(chosen(context, "train", options.roles), options.sentences, context.seed)
    train = listen(judge, heard, context)
    dev = listen(judge, chosen(context, "dev", options.roles)[:96], context)
    fit_ctc(judge, train, dev, training, context)
    context.keep("judge", judge)


def check_judge(options: CheckJudgeOptions, context: StageContext) -> None:
    """WER on held-out original audio, and the control: the same audio with another's text."""
    judge, wer = context.part("judge"), build("metric", "wer")
    for split in options.splits:
        utterances = chosen(context, split, options.roles)
        if not utterances:
            raise DataError(f"the corpus has no audio with text of the split '{split}'")
        random.Random(context.seed).shuffle(utterances)
        utterances = utterances[: options.items]
        heard: list[str] = []
        with context.progress("transcribing", len(utterances)) as progress:
            for start in range(0, len(utterances), 25):
                some = utterances[start : start + 25]
                waves = [read_utterance(u, judge.sample_rate) for u in some]
                heard += judge.transcribe(*pad_wavs(waves))
                progress(len(heard))
        texts = [utterance.text or "" for utterance in utterances]
        right = list(zip(heard, texts, strict=True))
        # the next text that is another one: a corpus may say the same thing twice
        wrong = [(said, another(texts, index)) for index, said in enumerate(heard)]
        context.result(
            measure(wer, "judge-wer", split, right),
            measure(wer, "judge-wer-mismatched", split, wrong),
        )


def chosen(context: StageContext, split: str, roles: Sequence[str]) -> list[Utterance]:
    """Utterances of a split and these roles (none: all) with sound and text, each sound once."""
    found: dict[tuple[object, ...], Utterance] = {}
    for utterance in load_manifest(context.read("manifest") / MANIFEST):
        wanted = utterance.split == split and (not roles or utterance.role in roles)
        if wanted and utterance.audio and utterance.text:
            found.setdefault((utterance.audio, utterance.start, utterance.duration), utterance)
    return list(found.values())


def few_sentences(utterances: list[Utterance], most: int, seed: int) -> list[Utterance]:
    """All random words, and at most so many of the others, so that the words keep their weight."""
    words = [u for u in utterances if u.role == "words"]
    others = [u for u in utterances if u.role != "words"]
    return words + random.Random(seed).sample(others, min(most, len(others)))


def listen(
    judge: torch.nn.Module, utterances: list[Utterance], context: StageContext
) -> list[Heard]:
    """Each utterance's log-mel and characters, made once and kept in memory."""
    heard: list[Heard] = []
    with context.progress("reading audio", len(utterances)) as progress, torch.inference_mode():
        for utterance in utterances:
            wav = torch.from_numpy(read_utterance(utterance, judge.sample_rate))
            log_mel, _ = judge.features(wav[None], torch.tensor([len(wav)]))
            ids = torch.tensor(judge.ids(utterance.text or ""))
            heard.append(Heard(log_mel[0].half().clone(), ids))
            progress(len(heard))
    return heard


def another(texts: Sequence[str], index: int) -> str:
    """The next text in the list that differs. Raises DataError where all are the same."""
    for step in range(1, len(texts)):
        text = texts[(index + step) % len(texts)]
        if text != texts[index]:
            return text
    raise DataError("all held-out texts are the same: a judge cannot be checked on them")
