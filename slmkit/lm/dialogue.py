"""Dialogues as templates: text with places for text and speech, filled into segments.

A pattern is a string in which `{question}`, `{answer}` stand for text and `{question_speech}`,
`{answer_speech}` for codes. A style is data: a model keeps its own in its folder, so that whoever
asks it later spells the prompt as it was taught.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from slmkit.api import Segment, Speech, Text
from slmkit.lm.vocabulary import END_OF_SPEECH, START_OF_SPEECH

DIALOGUE_FILE = "dialogue.json"
"""The file in a model's folder that holds its style."""

FORMATS = ("speech-speech", "speech-text", "text-speech", "text-text")
"""The modality of the question and of the reply."""


@dataclass(frozen=True)
class Turn:
    """One exchange: what the human says and what the model answers, as patterns."""

    human: str
    model: str


@dataclass(frozen=True)
class Style:
    """The spelling of every dialogue.

    Attributes:
        specials: tokens added to the vocabulary, in order, beside the units and their marks.
        prefix: stands before every dialogue and is never learnt.
        human_learns: whether the loss counts on the human's turn too, as in the released code.
        stop: special tokens that end an answer.
        transcribe, speak: cross-modal instructions, with `{instruction}`, `{input}`, `{output}`.
        chain: chain of modality, by format.
        direct: the reply without steps, by format ("standard" in the paper).
    """

    name: str
    specials: tuple[str, ...]
    prefix: str
    human_learns: bool
    stop: tuple[str, ...]
    transcribe: Turn
    speak: Turn
    chain: Mapping[str, Turn]
    direct: Mapping[str, Turn]

    def turn(self, prompting: str, format: str) -> Turn:
        """The turn for "chain" or "direct" prompting in one of the FORMATS."""
        return (self.chain if prompting == "chain" else self.direct)[format]

    def fill(self, turn: Turn, values: Mapping[str, str | np.ndarray]) -> list[Segment]:
        """The dialogue with its values: text as str, units as int64 [1, t]."""
        prefix: list[Segment] = [Text(self.prefix)] if self.prefix else []
        human = fill(turn.human, values, self.human_learns)
        return [*prefix, *human, *fill(turn.model, values, True)]

    def prompt(self, turn: Turn, values: Mapping[str, str | np.ndarray]) -> list[Segment]:
        """The dialogue up to where the model has to answer."""
        prefix: list[Segment] = [Text(self.prefix)] if self.prefix else []
        return [*prefix, *fill(turn.human, values, False)]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Style:
        """The inverse of `to_dict`."""
        turns = {
            prompting: {name: Turn(**turn) for name, turn in values[prompting].items()}
            for prompting in ("chain", "direct")
        }
        return cls(
            **{
                **values,
                **turns,
                "transcribe": Turn(**values["transcribe"]),
                "speak": Turn(**values["speak"]),
                "specials": tuple(values["specials"]),
                "stop": tuple(values["stop"]),
            }
        )


def fill(pattern: str, values: Mapping[str, str | np.ndarray], learn: bool) -> list[Segment]:
    """Segments of a pattern; neighbouring text is one segment."""
    segments: list[Segment] = []
    text = ""
    for position, piece in enumerate(re.split(r"\{(\w+)\}", pattern)):
        value = values[piece] if position % 2 else piece
        if isinstance(value, str):
            text += value
            continue
        if text:
            segments.append(Text(text, learn))
            text = ""
        segments.append(Speech(value, learn))
    return [*segments, Text(text, learn)] if text else segments


def spell(segments: Sequence[Segment]) -> str:
    """Segments as the string that the published data holds: units of one codebook as `<12>`."""
    return "".join(
        segment.text
        if isinstance(segment, Text)
        else START_OF_SPEECH + "".join(f"<{unit}>" for unit in segment.codes[0]) + END_OF_SPEECH
        for segment in segments
    )


@dataclass(frozen=True, eq=False)
class Reply:
    """What the model answered, taken apart; None where a part did not come.

    Attributes:
        transcript: what it understood the question to be.
        text: the answer as text.
        codes: the answer as units [1, t].
    """

    transcript: str | None
    text: str | None
    codes: np.ndarray | None


def parse(segments: Sequence[Segment]) -> Reply:
    """Take an answer apart at `[tq]`, `[ta]`, `[ua]`, in any of the styles.

    The released style has no `[tq]`: what stands before `; [ta]` is the transcript.
    """
    written = "".join(segment.text for segment in segments if isinstance(segment, Text))
    spoken = [segment.codes for segment in segments if isinstance(segment, Speech)]
    written = re.split(r"<eoa>|<eos>", written)[0]
    before, mark, after = written.partition("[ta]")
    transcript = before.replace("[tq]", "").strip().rstrip(";").strip() if before.strip() else None
    text = after.partition("[ua]")[0].strip().rstrip(";").strip() if mark else None
    if not mark:
        transcript = (transcript and transcript.partition("[ua]")[0].strip()) or None
    return Reply(transcript, text or None, spoken[0] if spoken and spoken[0].shape[1] else None)
