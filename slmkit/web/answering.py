"""A question to an assistant: what it understood, wrote and spoke, as soon as it did.

Letters: t (frame), n (sample).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import torch

from slmkit.api import Segment, Text
from slmkit.data.audio import Wave
from slmkit.generation.assistant import Assistant
from slmkit.generation.loop import stream
from slmkit.generation.sampling import Sampling
from slmkit.generation.speaking import speak
from slmkit.lm.dialogue import parse
from slmkit.lm.pieces import join
from slmkit.web.events import Event, Heard, Said, Spoke, Visit, Wrote

MOST_TOKENS = 512
"""Of an answer, as of `slmkit ask`."""


def answer(assistant: Assistant, question: Wave | str, visit: Visit) -> Iterator[Event]:
    """Ask aloud (a wave [n] at the tokenizer's rate) or in writing; the answer is spoken.

    It is the answer of `slmkit ask`, the best token always. Raises LeftError, what the parts raise.
    """
    spoken = not isinstance(question, str)
    asked = question if isinstance(question, str) else assistant.hear(torch.from_numpy(question))
    turn = assistant.style.turn(assistant.prompting, f"{'speech' if spoken else 'text'}-speech")
    prompt = assistant.style.prompt(turn, {"question_speech" if spoken else "question": asked})
    sampling = Sampling(temperature=0.0, most=MOST_TOKENS, stop=assistant.style.stop)
    told = _Told(spoken)
    pieces = told.watched(stream(assistant.lm, prompt, sampling), visit)
    first = None
    for piece in pieces:
        if not isinstance(piece, Text):
            first = piece
            break
        yield from told.news()
    yield from told.news()
    seconds = 0.0
    if first is not None:
        rate = assistant.vocoder.sample_rate
        spec = replace(assistant.lm.spec, deduplicated=True)
        for wave in speak(chain([first], pieces), assistant.vocoder, spec):
            visit.check()
            yield from told.news()
            yield Spoke(wave.numpy(), rate)
            seconds += len(wave) / rate
        yield from told.news()
    if not seconds:
        yield Said("the model gave no speech to this question", wrong=True)
    else:
        yield Said(f"{seconds:.1f} s of speech")


class _Told:
    """The text of an answer, taken apart as it grows; what is new is told once."""

    def __init__(self, spoken: bool) -> None:
        self._texts: list[Segment] = []
        self._last: dict[type[Heard] | type[Wrote], str] = {}
        self._spoken = spoken

    def watched(self, pieces: Iterator[Segment], visit: Visit) -> Iterator[Segment]:
        """The same pieces; their text is kept, and each asks whether somebody still waits."""
        for piece in pieces:
            visit.check()
            if isinstance(piece, Text):
                self._texts.append(piece)
            yield piece

    def news(self) -> Iterator[Event]:
        """What is known now and was not before."""
        reply = parse(join(self._texts))
        found: list[tuple[type[Heard] | type[Wrote], str | None]] = [(Wrote, reply.text)]
        if self._spoken:
            found.insert(0, (Heard, reply.transcript))
        for kind, text in found:
            if text and self._last.get(kind) != text:
                self._last[kind] = text
                yield kind(text)
