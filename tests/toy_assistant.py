"""An assistant that needs no training: it hears by a tokenizer, hums, and has its words given."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from documents_world import voiced
from slmkit_speechgpt.templates import STYLES

from slmkit.api import Codes, Segment, Speech, State, Text, Tokenizer, Vocoder
from slmkit.generation.assistant import Assistant
from slmkit.host import build

SAMPLES = 1600
"""Of a hum, for each unit: a tenth of a second."""
UNITS = 12
WRITTEN = ("[tq] what is ", "three plus five; [ta] three plus ", "five is eight; [ua] ")


class Hum(Vocoder):
    """A tone for each unit, as soon as it comes."""

    sample_rate = 16000

    def synthesize(
        self, codes: Codes, speaker: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        pitches = 200 + 50 * codes.values[:, 0].repeat_interleave(SAMPLES, dim=1)
        turns = torch.arange(pitches.shape[1]) * pitches / self.sample_rate
        return 0.3 * torch.sin(2 * torch.pi * turns), codes.lengths * SAMPLES

    def empty_state(self, batch: int, speaker: torch.Tensor | None = None) -> State:
        return {}

    def step(self, codes: Codes, state: State) -> tuple[torch.Tensor, State]:
        return self.synthesize(codes)[0], state

    def finish(self, state: State) -> torch.Tensor:
        return torch.zeros(1, 0)

    def save(self, folder: Any) -> None: ...

    def restore(self, folder: Any) -> None: ...


def tokenizer() -> Tokenizer:
    """Units of a buzz."""
    wav = torch.from_numpy(voiced(2.0, 100))[None]
    made: Tokenizer = build("tokenizer", "mel-km", {"clusters": 8})
    made.fit([(wav, torch.tensor([wav.shape[1]]))])
    return made


def assistant() -> Assistant:
    """Its model is never asked: `Script` stands for the loop."""
    hears = tokenizer()
    lm: Any = SimpleNamespace(spec=hears.spec)
    return Assistant(lm, STYLES["paper"], Hum(), hears)


class Script:
    """What `slmkit.generation.loop.stream` would give; knows how far it was read.

    Attributes:
        pause: seconds before each unit.
        given: units that were asked for.
        closed: whether it was ended before it had given all of them.
    """

    def __init__(self, pause: float = 0.0, units: int = UNITS) -> None:
        self.pause, self.units = pause, units
        self.given, self.closed = 0, False
        self.prompt: list[Segment] = []

    def __call__(self, lm: Any, prompt: list[Segment], sampling: Any) -> Iterator[Segment]:
        self.prompt = prompt
        try:
            yield from (Text(text) for text in WRITTEN)
            for number in range(self.units):
                time.sleep(self.pause)
                self.given += 1
                yield Speech(np.array([[number % 8]]))
        except GeneratorExit:
            self.closed = True
            raise
