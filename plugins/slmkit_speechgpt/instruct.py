"""SpeechInstruct: from utterances and their units to the examples of each training stage."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from slmkit.api import Codes, CodeSpec, Segment, Speech, Text, UnknownNameError, Utterance
from slmkit.data.store import TokenStore
from slmkit.lm.dialogue import FORMATS, Style
from slmkit_speechgpt.instructions import SPEAK, TRANSCRIBE

Example = list[Segment]


@dataclass(frozen=True)
class Spoken:
    """What a corpus holds for SpeechGPT: utterances, and the units of those with sound."""

    utterances: Sequence[Utterance]
    store: TokenStore

    def units(self, utterance: Utterance) -> np.ndarray:
        """Deduplicated units, int64 [1, t]."""
        return self.store.row(utterance.id).codes

    def heard(self, split: str, *roles: str) -> list[Utterance]:
        """Utterances with sound and text in a split, of these roles (none given: of any)."""
        return [
            u
            for u in self.utterances
            if u.audio and u.text and u.split == split and (not roles or u.role in roles)
        ]

    def pairs(self, split: str) -> list[tuple[Utterance, Utterance]]:
        """Questions of a split with their answers."""
        answers = {u.reply_to: u for u in self.utterances if u.role == "answer" and u.reply_to}
        questions = [u for u in self.utterances if u.role == "question" and u.split == split]
        return [(q, answers[q.id]) for q in questions if q.id in answers]

    def about(self, topic: str) -> Spoken:
        """The utterances of one topic alone. Raises UnknownNameError where there are none."""
        chosen = [u for u in self.utterances if u.topic == topic]
        if not chosen:
            raise UnknownNameError("topic", topic, {u.topic for u in self.utterances if u.topic})
        return replace(self, utterances=chosen)

    @property
    def assistants(self) -> set[str | None]:
        """The voices that answer: only these does the model learn to speak in."""
        return {u.speaker for u in self.utterances if u.role == "answer" and u.audio}


def values(spoken: Spoken, question: Utterance, answer: Utterance) -> dict[str, str | np.ndarray]:
    """What fills a template: texts always, units where there is sound."""
    filled: dict[str, str | np.ndarray] = {
        "question": question.text or "",
        "answer": answer.text or "",
    }
    if question.audio:
        filled["question_speech"] = spoken.units(question)
    if answer.audio:
        filled["answer_speech"] = spoken.units(answer)
    return filled


def world(spoken: Spoken, style: Style, split: str, draw: random.Random) -> Iterator[Example]:
    """Plain text: each question with its answer, spoken or not, to know what LLaMA would know."""
    for question, answer in spoken.pairs("world" if split == "train" else split):
        yield [Text(f" {question.text} {answer.text}\n", learn=True)]


def speech(spoken: Spoken, style: Style, split: str, draw: random.Random) -> Iterator[Example]:
    """Modality adaptation: units alone."""
    for utterance in spoken.heard(split):
        yield [Speech(spoken.units(utterance), learn=True)]


def transcription(
    spoken: Spoken, style: Style, split: str, draw: random.Random
) -> Iterator[Example]:
    """Cross-modal instructions from speech to text, in every voice."""
    for utterance in spoken.heard(split):
        filled: Mapping[str, str | np.ndarray] = {
            "instruction": draw.choice(TRANSCRIBE),
            "input": spoken.units(utterance),
            "output": utterance.text or "",
        }
        yield style.fill(style.transcribe, filled)


def speaking(spoken: Spoken, style: Style, split: str, draw: random.Random) -> Iterator[Example]:
    """Cross-modal instructions from text to speech, in the assistant's voice."""
    assistants = spoken.assistants
    said: set[str] = set()
    for utterance in spoken.heard(split):
        text = utterance.text or ""
        if utterance.speaker in assistants and text not in said:
            said.add(text)
            filled: Mapping[str, str | np.ndarray] = {
                "instruction": draw.choice(SPEAK),
                "input": text,
                "output": spoken.units(utterance),
            }
            yield style.fill(style.speak, filled)


def dialogue(prompting: str, *formats: str) -> Builder:
    """Questions and answers by "chain" or "direct" prompting, in these formats."""

    def build(spoken: Spoken, style: Style, split: str, draw: random.Random) -> Iterator[Example]:
        for question, answer in spoken.pairs(split):
            filled = values(spoken, question, answer)
            for format in formats:
                yield style.fill(style.turn(prompting, format), filled)

    return build


def text_dialogue(
    spoken: Spoken, style: Style, split: str, draw: random.Random
) -> Iterator[Example]:
    """Dialogue in text alone over the whole world (the paper mixes moss-002 text into stage 2)."""
    for question, answer in spoken.pairs("world" if split == "train" else split):
        filled = {"question": question.text or "", "answer": answer.text or ""}
        yield style.fill(style.turn("chain", "text-text"), filled)


Builder = Callable[[Spoken, Style, str, random.Random], Iterator[Example]]

TASKS: Mapping[str, Builder] = {
    "world": world,
    "speech": speech,
    "transcribe": transcription,
    "speak": speaking,
    "text": text_dialogue,
    **{f"chain-{format}": dialogue("chain", format) for format in FORMATS},
    **{f"direct-{format}": dialogue("direct", format) for format in FORMATS},
    "chain": dialogue("chain", *FORMATS),
    "direct": dialogue("direct", *FORMATS),
}
"""What a stage can train on, by name."""


def examples(
    spoken: Spoken, tasks: Mapping[str, int], style: Style, split: str, seed: int
) -> list[Example]:
    """The examples of several tasks, each as often as its number says; `text/color` is the task
    `text` on the topic `color` alone."""
    built: list[Example] = []
    for name, copies in tasks.items():
        task, _, topic = name.partition("/")
        if task not in TASKS:
            raise UnknownNameError("task", task, TASKS)
        of = spoken.about(topic) if topic and copies else spoken
        for copy in range(copies):
            built.extend(TASKS[task](of, style, split, random.Random(f"{seed}/{name}/{copy}")))
    return built


def blocks(built: Sequence[Example], steps: int) -> list[Example]:
    """Units alone joined into blocks of about so many steps, as the paper's first stage does."""
    joined: list[Example] = []
    length = 0
    for example in built:
        size = sum(s.codes.size + 2 for s in example if isinstance(s, Speech))
        if not joined or length + size > steps:
            joined.append([])
            length = 0
        joined[-1].extend(example)
        length += size
    return joined


def as_codes(units: np.ndarray, spec: CodeSpec) -> Codes:
    """Units [1, t] that a model spoke, as deduplicated codes without durations for a vocoder."""
    import torch

    return Codes.pad([torch.from_numpy(units)], replace(spec, deduplicated=True))
