"""Codes that spell their text, small probes, and a context for stages without an engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slmkit.api import CodeSpec
from slmkit.training.probe import Probe, Read

LETTERS = " abcd"
SPEC = CodeSpec(16000, 320, (8, 16))


class Context:
    """A stage's context with nothing around it but a store."""

    seed = 0
    trainer: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, folder: Path, store: Path | None = None) -> None:
        self.folder, self.store = folder, store
        folder.mkdir(parents=True, exist_ok=True)
        self.results: list[Any] = []
        self.said: list[str] = []
        self.say = self.said.append

    def read(self, name: str) -> Path:
        assert self.store is not None
        return self.store

    def path(self, stage: str) -> Path:
        return self.folder / stage

    def result(self, *rows: Any) -> None:
        self.results += rows

    @contextmanager
    def progress(self, text: str, total: int | None = None) -> Iterator[Any]:
        yield lambda *_, **__: None


def text_of(seed: int) -> str:
    rng = np.random.default_rng(seed)
    return " ".join("".join(rng.choice(list("abcd"), rng.integers(2, 5))) for _ in range(3))


def spoken(text: str, seed: int) -> np.ndarray:
    """The first codebook spells the text, a letter for two or three frames and a pause after it;
    the second is noise."""
    rng = np.random.default_rng(seed)
    first = []
    for letter in text:
        first += [1 + LETTERS.index(letter)] * int(rng.integers(2, 4)) + [0]
    return np.stack([np.array(first), rng.integers(0, 16, len(first))])


def said(count: int, seed: int) -> list[Read]:
    texts = [text_of(1000 * seed + number) for number in range(count)]
    return [Read(f"u{n}", spoken(text, n), text) for n, text in enumerate(texts)]


def small(codebooks: int = 1, width: int = 32, repeat: int = 1) -> Probe:
    torch.manual_seed(0)
    return Probe(SPEC.codebook_sizes[:codebooks], LETTERS, width, repeat)
