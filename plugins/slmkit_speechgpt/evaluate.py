"""The stage `speechgpt-evaluate`: held-out questions asked in every format, judged and counted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from slmkit.api import DataError, Result, StageContext, Transcriber, Utterance
from slmkit.data.audio import read_utterance, write_audio
from slmkit.data.batches import pad_wavs
from slmkit.data.intervals import measure
from slmkit.generation.assistant import Assistant
from slmkit.generation.sampling import Sampling
from slmkit.host import build
from slmkit.lm.dialogue import Reply
from slmkit.lm.saving import load_lm
from slmkit_speechgpt.instruct import Spoken
from slmkit_speechgpt.plugin import EvaluateOptions
from slmkit_speechgpt.templates import style_of
from slmkit_speechgpt.train import read_spoken


@dataclass(frozen=True, eq=False)
class Asked:
    """One question asked in one format: what was due, and what came.

    Attributes:
        wav: the spoken reply [n], where the format has one and the model spoke.
        heard: what the judge heard in it.
    """

    question: Utterance
    answer: Utterance
    reply: Reply
    wav: torch.Tensor | None = None
    heard: str | None = None


def evaluate(options: EvaluateOptions, context: StageContext) -> None:
    """Ask, judge, count; leave sounds and what was said for the report."""
    spoken = read_spoken(context)
    lm = load_lm(context.read("lm"))
    assistant = Assistant(
        lm,
        style_of(options.style),
        context.part("vocoder", lm.spec),
        prompting=options.prompting,
    )
    judge: Transcriber = context.part("judge")
    kept = []
    read: set[tuple[str, ...]] = set()
    for split in options.splits:
        pairs = spread(spoken.pairs(split), options.items)
        if not pairs:
            raise DataError(f"the corpus has no questions in the split '{split}'")
        texts = tuple(question.text or "" for question, _ in pairs)
        for format in options.formats:
            # what is read is no other question in another voice
            if format.startswith("text") and texts in read:
                continue
            asked = ask(assistant, spoken, judge, pairs, format, options, context)
            for row in rows_of(asked, split, format, options.prompting):
                context.result(labelled(row, options.label))
            if format == "speech-speech":
                kept.append(keep_sounds(asked[: options.sounds], split, assistant, context))
        read.add(texts)
        if "speech-text" in options.formats:
            exchange(assistant, spoken, judge, pairs, split, options, context)
    (context.folder / "report.json").write_text(json.dumps(kept, indent=1) + "\n")


def spread(
    pairs: Sequence[tuple[Utterance, Utterance]], most: int
) -> list[tuple[Utterance, Utterance]]:
    """The first pairs of each kind of question in turn, so that a cut keeps the balance."""
    kinds: dict[str | None, list[tuple[Utterance, Utterance]]] = {}
    for pair in pairs:
        kinds.setdefault(pair[0].topic, []).append(pair)
    queues = [iter(kind) for kind in kinds.values()]
    turns = (next(queue, None) for _ in range(len(pairs)) for queue in queues)
    return [pair for pair in turns if pair is not None][:most]


def ask(
    assistant: Assistant,
    spoken: Spoken,
    judge: Transcriber,
    pairs: Sequence[tuple[Utterance, Utterance]],
    format: str,
    options: EvaluateOptions,
    context: StageContext,
    heard_instead: Mapping[str, Utterance] | None = None,
) -> list[Asked]:
    """Ask every question; `heard_instead` exchanges the sound of a question for another's."""
    sampling = Sampling(
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        most=options.longest,
        stop=assistant.style.stop,
        seed=context.seed,
    )
    asked: list[Asked] = []
    with context.progress(f"asking {format}", len(pairs)) as progress:
        for start in range(0, len(pairs), options.batch):
            some = pairs[start : start + options.batch]
            questions: list[str | np.ndarray] = []
            for question, _ in some:
                source = (heard_instead or {}).get(question.id, question)
                speech = format.startswith("speech")
                questions.append(spoken.units(source) if speech else question.text or "")
            rows = range(start, start + len(some))
            replies = assistant.ask_many(questions, format, sampling, rows)
            asked += speak_and_judge(assistant, judge, some, replies, format)
            progress(len(asked))
    return asked


def speak_and_judge(
    assistant: Assistant,
    judge: Transcriber,
    pairs: Sequence[tuple[Utterance, Utterance]],
    replies: Sequence[Reply],
    format: str,
) -> list[Asked]:
    """Let the vocoder speak the replies that have units, and the judge write what it hears."""
    spoken = [i for i, reply in enumerate(replies) if reply.codes is not None]
    waves: dict[int, torch.Tensor] = {}
    texts: dict[int, str] = {}
    if format.endswith("-speech") and spoken:
        units = [codes for i in spoken if (codes := replies[i].codes) is not None]
        waves = dict(zip(spoken, assistant.speak(units), strict=True))
        wav, lengths = pad_wavs([waves[i].numpy() for i in spoken])
        with torch.inference_mode():
            texts = dict(zip(spoken, judge.transcribe(wav, lengths), strict=True))
    return [
        Asked(question, answer, reply, waves.get(i), texts.get(i))
        for i, ((question, answer), reply) in enumerate(zip(pairs, replies, strict=True))
    ]


def labelled(row: Result, label: str) -> Result:
    """A row under a label, so that two evaluations of one run stay apart."""
    return replace(row, metric=f"{label}/{row.metric}") if label else row


def rows_of(asked: Sequence[Asked], split: str, format: str, prompting: str) -> Iterator[Result]:
    """The rows of one format. What did not come counts as wrong, never as left out."""
    wer, exact = build("metric", "wer"), build("metric", "exact")
    if format.startswith("speech") and prompting == "chain":
        heard = [(each.reply.transcript or "", each.question.text or "") for each in asked]
        yield measure(wer, f"transcription-wer/{format}", split, heard)
    if format.endswith("-text") or prompting == "chain":
        yield from answers(asked, split, format)
    if format.endswith("-speech"):
        right = [(each.heard or "", each.answer.text or "") for each in asked]
        yield measure(exact, f"heard-exact/{format}", split, right)
        said = [(each.heard or "", each.reply.text) for each in asked if each.reply.text]
        if said:
            yield measure(wer, f"reply-wer/{format}", split, said)


def answers(asked: Sequence[Asked], split: str, format: str) -> Iterator[Result]:
    """Exact answers in writing, over all and for each kind of question."""
    exact = build("metric", "exact")
    name = f"answer-exact/{format}"
    kinds: dict[str, list[tuple[str, str]]] = {}
    written = []
    for each in asked:
        written.append((each.reply.text or "", each.answer.text or ""))
        kinds.setdefault(each.question.topic or "", []).append(written[-1])
    yield measure(exact, name, split, written)
    for kind in sorted(kinds.keys() - {""}):
        yield measure(exact, f"{name}/{kind}", split, kinds[kind])


def exchange(
    assistant: Assistant,
    spoken: Spoken,
    judge: Transcriber,
    pairs: Sequence[tuple[Utterance, Utterance]],
    split: str,
    options: EvaluateOptions,
    context: StageContext,
) -> None:
    """The control: each question's sound is another's; right answers must then be by chance."""
    others = [*pairs[1:], pairs[0]]
    instead = {
        question.id: other
        for (question, answer), (other, its_answer) in zip(pairs, others, strict=True)
        if answer.text != its_answer.text
    }
    some = [pair for pair in pairs if pair[0].id in instead]
    if not some:
        return
    asked = ask(assistant, spoken, judge, some, "speech-text", options, context, instead)
    written = [(each.reply.text or "", each.answer.text or "") for each in asked]
    exact = build("metric", "exact")
    row = measure(exact, "answer-exact/exchanged-audio", split, written)
    context.result(labelled(row, options.label))


def keep_sounds(
    asked: Sequence[Asked], split: str, assistant: Assistant, context: StageContext
) -> dict[str, Any]:
    """Write question and reply as FLAC; a block for the report tells what was said and heard."""
    folder = context.folder / "sounds"
    folder.mkdir(exist_ok=True)
    rows = []
    for each in asked:
        name = each.question.id
        write_audio(folder / f"{name}.flac", read_utterance(each.question), 16000)
        sounds = {"question": f"sounds/{name}.flac"}
        if each.wav is not None:
            rate = assistant.vocoder.sample_rate
            write_audio(folder / f"{name}-reply.flac", each.wav.numpy(), rate)
            sounds["reply"] = f"sounds/{name}-reply.flac"
        texts = {
            "asked": each.question.text,
            "understood": each.reply.transcript,
            "answered": each.reply.text,
            "right answer": each.answer.text,
            "heard by the judge": each.heard,
        }
        rows.append({"title": name, "texts": texts, "sounds": sounds, "spectrogram": "reply"})
    return {
        "type": "sounds",
        "title": f"Spoken questions and replies ({split})",
        "note": "Questions that were never spoken in training.",
        "rows": rows,
    }
