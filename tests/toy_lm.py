"""Tiny speech language models, examples for them, and a place to train them in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slmkit.api import CodeSpec, Progress, Speech, Text
from slmkit.host import build
from slmkit.lm.grid import Grid
from slmkit.lm.speechlm import SpeechLM
from slmkit.lm.vocabulary import END_OF_SPEECH, START_OF_SPEECH, Section, Vocabulary

LETTERS = "abcdefgh "


def model(decoding: str = "flat", codebooks: int = 1, **backbone: Any) -> SpeechLM:
    torch.manual_seed(0)
    text = build("text", "characters")
    text.fit([LETTERS])
    units = [Section.codes(7 + k, k) for k in range(codebooks)]
    words = Vocabulary(text).extend(*units, Section.special(START_OF_SPEECH, END_OF_SPEECH))
    sizes = {"width": 32, "layers": 2, "heads": 4, "kv_heads": 2, **backbone}
    spec = CodeSpec(16000, 320, tuple(7 + k for k in range(codebooks)))
    return SpeechLM(build("backbone", "llama", sizes), build("decoding", decoding), words, spec)


def examples(lm: SpeechLM, lengths: Sequence[int], seed: int = 0) -> list[Grid]:
    """A text that is given, and so many frames that are to be learnt, for each length."""
    draw = np.random.default_rng(seed)
    found = []
    for frames in lengths:
        word = "".join(draw.choice(list(LETTERS), 3))
        codes = [draw.integers(0, 7 + k, frames) for k in range(lm.spec.codebooks)]
        segments = [Text(word), Speech(np.stack(codes), learn=True), Text("ab", learn=True)]
        found.append(lm.layout.lay(segments, lm.vocabulary))
    return found


class Place:
    """A stage's context, without an engine."""

    def __init__(self, folder: Path, seed: int = 0, trainer: Mapping[str, Any] | None = None):
        self.folder, self.seed, self.trainer = folder, seed, trainer or {}
        self.said: list[str] = []

    @contextmanager
    def progress(self, text: str, total: int | None = None) -> Iterator[Progress]:
        yield lambda done, total=None, text="": None

    def say(self, line: str) -> None:
        self.said.append(line)
