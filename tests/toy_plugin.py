"""A plugin of small parts and stages for tests of the recipe engine, and ways to install it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from slmkit.api import Can, DataError, Declaration, NoOptions, Result, hookimpl, option
from slmkit.host import host

HERE = Path(__file__).parent


@dataclass(frozen=True)
class CorpusOptions:
    sentences: int = option(10, "how many")
    source: str = option("", "a file")
    dialogue: bool = option(True, "questions with answers")

    def can(self, base: Can) -> Can:
        return replace(base, dialogue=self.dialogue)


@dataclass(frozen=True)
class TokenizerOptions:
    clusters: int = option(8, "codes")
    rate: float = option(0.5, "a number")
    layers: list[int] = field(default_factory=lambda: [1, 2], metadata={"help": "some"})
    label: str | None = option(None, "a word")
    merge: bool = option(False, "merge equal codes")

    def can(self, base: Can) -> Can:
        return replace(base, deduplicated=self.merge)


@dataclass(frozen=True)
class NeedyOptions:
    folder: str = option(help="must be given")


@dataclass(frozen=True)
class WriteOptions:
    text: str = option("x", "what is written")
    seconds: float = option(0.0, "how long it takes")


@dataclass(frozen=True)
class FitOptions:
    slot: str = option("tokenizer", "which")

    def uses(self) -> tuple[str, ...]:
        return (self.slot,)

    def gives(self) -> tuple[str, ...]:
        return (self.slot,)


@dataclass(frozen=True)
class FailOptions:
    how: str = option("ValueError", "which way")


@dataclass(frozen=True)
class TrainOptions:
    steps: int = option(12, "optimizer steps")
    module: str = option("plain", "plain or rivals")
    workers: int = option(0, "processes that load batches")
    every: float = option(0.0, "seconds from checkpoint to checkpoint")
    die_at: int = option(-1, "kill -9 when this batch is asked for, once")
    die_after: bool = option(False, "kill -9 after the training, once")
    pause: float = option(0.0, "seconds to load a batch")
    twice: bool = option(False, "two trainings, one after the other")


@hookimpl
def slmkit_corpora() -> list[Declaration]:
    return [Declaration("toy", "toy", "toy_parts:ToyCorpus", CorpusOptions, Can(dialogue=True))]


@hookimpl
def slmkit_texts() -> list[Declaration]:
    return [Declaration("toy", "toy", "toy_parts:ToyText", WriteOptions)]


@hookimpl
def slmkit_tokenizers() -> list[Declaration]:
    can = Can(codebooks=1, sample_rate=16000, frame_rate=50.0)
    wide = Can(codebooks=8, sample_rate=24000, frame_rate=75.0)
    return [
        Declaration("toy", "toy", "toy_parts:ToyTokenizer", TokenizerOptions, can),
        Declaration("wide", "toy", "toy_parts:ToyTokenizer", TokenizerOptions, wide),
        Declaration("needy", "toy", "toy_parts:ToyTokenizer", NeedyOptions, can),
        Declaration("absent", "toy", "toy_parts:ToyTokenizer", can=can, requires=("no_such_pkg",)),
    ]


@hookimpl
def slmkit_vocoders() -> list[Declaration]:
    can = Can(codebooks=1, sample_rate=16000, frame_rate=50.0, deduplicated=False)
    return [Declaration("toy", "toy", "toy_parts:ToyVocoder", can=can)]


@hookimpl
def slmkit_stages() -> list[Declaration]:
    here = "toy_plugin:"
    return [
        Declaration("write", "w", here + "write", WriteOptions, uses=("corpus",), trains=False),
        Declaration("fit", "f", here + "fit", FitOptions),
        Declaration("speak", "s", here + "speak", uses=("tokenizer", "vocoder")),
        Declaration("voice", "v", here + "voice", uses=("vocoder",), gives=("vocoder",)),
        Declaration("chat", "c", here + "speak", uses=("corpus",), can=Can(dialogue=True)),
        Declaration("measure", "m", here + "measure", trains=False),
        Declaration("fail", "x", here + "fail", FailOptions),
        Declaration("train", "t", "toy_training:train", TrainOptions, uses=("corpus",)),
        Declaration("seeded", "r", here + "seeded"),
    ]


def write(options: WriteOptions, context) -> None:
    """Append a line for every call, so that tests can count calls."""
    with (context.folder / "calls.txt").open("a") as file:
        file.write(options.text + "\n")
    end = time.monotonic() + options.seconds
    with context.progress("writing", 10) as show:
        show(1, text="half way")
        if options.text == "stubborn":
            _hold_the_interpreter(options.seconds)
        while time.monotonic() < end:
            time.sleep(0.01)
    context.part("corpus")


def _hold_the_interpreter(seconds: float) -> None:
    """A computation in C that lets no signal handler of Python run, as k-means may."""
    import hashlib

    hashlib.pbkdf2_hmac("sha256", b"x", b"y", int(2e6 * seconds))


def fit(options: FitOptions, context) -> None:
    part = context.part(options.slot)
    part.learnt = getattr(part, "learnt", 0) + 1
    context.keep(options.slot, part)


def voice(options: NoOptions, context) -> None:
    from slmkit.api import CodeSpec

    part = context.fresh("vocoder", spec=CodeSpec(16000, 320, (8,)))
    part.learnt = 5
    context.keep("vocoder", part)


def speak(options: NoOptions, context) -> None:
    context.say("spoken")


def measure(options: NoOptions, context) -> None:
    context.result(Result("wer", "test", 1.0, 0.5, 1.5, 10, "%", "lower"))


def seeded(options: NoOptions, context) -> None:
    import random

    import numpy as np
    import torch

    drawn = f"{random.random()} {np.random.rand()} {float(torch.rand(()))}"
    (context.folder / "drawn.txt").write_text(drawn)


def fail(options: FailOptions, context) -> None:
    (context.folder / "half.txt").write_text("half")
    if options.how == "data":
        raise DataError("the manifest is empty")
    if options.how == "disk":
        with Path("/dev/full").open("w") as full:
            full.write("x")
    if options.how == "interrupt":
        raise KeyboardInterrupt
    if options.how == "exit":
        sys.exit(3)
    if options.how == "undeclared":
        context.part("tokenizer")
    raise ValueError("no such luck\nsecond line")


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Only the toy plugin is installed; the test works in an empty folder."""
    points = [EntryPoint("toy", "toy_plugin", "slmkit")]
    monkeypatch.setattr("slmkit.host.registry.entry_points", lambda group: points)
    monkeypatch.delenv("SLMKIT_PLUGINS", raising=False)
    monkeypatch.chdir(tmp_path)
    host.cache_clear()
    yield tmp_path
    host.cache_clear()


def outside(folder: Path) -> dict[str, str]:
    """The environment of a process that finds the toy plugin by its entry point."""
    metadata = folder / "site" / "toy-0.1.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text("[slmkit]\ntoy = toy_plugin\n")
    paths = os.pathsep.join([str(HERE), str(folder / "site")])
    return {**os.environ, "PYTHONPATH": paths, "SLMKIT_PLUGINS": "toy", "OMP_NUM_THREADS": "1"}
