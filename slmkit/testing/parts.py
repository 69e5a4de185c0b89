"""The laws of a part's kind, for any part on the shelves."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from slmkit.api import Codes, CodeSpec, Decoding, Generator, TextTokenizer, Tokenizer, Vocoder
from slmkit.host import build, host, make_options
from slmkit.testing.backbones import backbone_laws
from slmkit.testing.corpora import corpus_laws
from slmkit.testing.decodings import decoding_laws, head_laws
from slmkit.testing.metrics import metric_laws
from slmkit.testing.options import options_laws
from slmkit.testing.refiners import refiner_laws
from slmkit.testing.speakers import speaker_encoder_laws
from slmkit.testing.strategies import check_decoding
from slmkit.testing.texts import text_laws
from slmkit.testing.tokenizers import sounds, tokenizer_laws
from slmkit.testing.transcribers import transcriber_laws
from slmkit.testing.vocoders import vocoder_laws

SENTENCES = ("what is three plus five", "three plus five is eight", "name the opposite of hot")
OTHERS = ("many cooks do spoil a broth", "a stitch in time saves nine", "no news is good news")

Values = Mapping[str, Any]


def check_part(kind: str, name: str, folder: Path, values: Values | None = None) -> None:
    """Hold a part on the shelves to the laws of its kind.

    It is built with `values` for its options, fitted on a few made-up sounds or sentences where it
    has to be, and saved below `folder`; a layout is put to work in a strategy. A stage is only
    loaded: what it does is its own. Raises AssertionError, which says what is broken, or the part's
    own error where it cannot be built.
    """
    values = values or {}
    options_laws(kind, name, values)
    host().find(kind, name).load()
    if kind in LAWS:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            LAWS[kind](name, values, folder)


def _tokenizer(name: str, values: Values, folder: Path) -> None:
    seeds = itertools.count()

    def make() -> Tokenizer:
        part: Tokenizer = build("tokenizer", name, values)
        rate = part.spec.sample_rate
        # each time on other sounds, so that what is restored is not there already
        part.fit(sounds(rate, seed) for seed in itertools.islice(seeds, 8))
        return part

    tokenizer_laws(make, folder)


def _vocoder(name: str, values: Values, folder: Path) -> None:
    shelved = host().find("vocoder", name)
    can = shelved.declaration.abilities(make_options(shelved, values))
    rate = can.sample_rate or 16000
    spec = CodeSpec(rate, round(rate / (can.frame_rate or 50)), (16,) * (can.codebooks or 1))
    seeds = itertools.count()

    def make() -> Vocoder:
        part: Vocoder = build("vocoder", name, values, spec=spec)
        part.fit(_spoken(spec, seed) for seed in itertools.islice(seeds, 2))
        return part

    vocoder_laws(make, spec, folder)


def _spoken(spec: CodeSpec, seed: int) -> tuple[Codes, torch.Tensor, torch.Tensor]:
    """Sounds, and random codes that are said to be theirs."""
    wav, lengths = sounds(spec.sample_rate, seed)
    draw = np.random.default_rng(seed)
    rows = [
        np.stack([draw.integers(0, size, -(-n // spec.hop_length)) for size in spec.codebook_sizes])
        for n in lengths.tolist()
    ]
    codes = Codes.pad([torch.from_numpy(row) for row in rows], replace(spec, deduplicated=False))
    return (codes.deduplicate() if spec.codebooks == 1 else codes), wav, lengths


def _text(name: str, values: Values, folder: Path) -> None:
    learnt = itertools.chain([SENTENCES], itertools.repeat(OTHERS))

    def make() -> TextTokenizer:
        part: TextTokenizer = build("text", name, values)
        # but for the first on other texts, so that what is restored is not there already
        part.fit(next(learnt))
        return part

    text_laws(make, SENTENCES, folder)


def _metric(name: str, values: Values, folder: Path) -> None:
    metric = build("metric", name, values)
    items: Mapping[str, list[Any]] = {
        "text": [*SENTENCES],
        "wav": [_babble(seed) for seed in range(3)],
        "codes": [_spoken(CodeSpec(16000, 320, (16,)), seed)[0].row(seed) for seed in range(3)],
    }
    top, bottom = metric.score(*[items[metric.takes][0]] * 2)
    metric_laws(metric, items[metric.takes], top / bottom)


def _babble(seed: int) -> np.ndarray:
    """Noise that swells and fades as syllables do, float32 [n]."""
    draw = np.random.default_rng(seed)
    time = np.arange(24000 + 37 * seed) / 16000
    wave = draw.normal(size=len(time)) * (0.1 + np.sin(2 * np.pi * (2 + seed) * time) ** 2)
    return (0.1 * wave).astype(np.float32)


def _kind(kind: str, laws: Callable[..., None]) -> Callable[[str, Values, Path], None]:
    """The laws of a kind whose parts need nothing but their options."""

    def check(name: str, values: Values, folder: Path) -> None:
        laws(lambda: build(kind, name, values), folder)

    return check


def _decoding(name: str, values: Values, folder: Path) -> None:
    decoding_laws(lambda: build("decoding", name, values))
    check_decoding(build("decoding", name, values))


class _Laid(Decoding):
    """A strategy of one layout: each stream's scores are a projection of their own."""

    def __init__(self, layout: str, values: Values) -> None:
        self.generator = Generator(layout, "linear", layout_options=values)

    def plan(self, spec: CodeSpec) -> tuple[Generator]:
        build("layout", self.generator.layout, self.generator.layout_options).streams(spec)
        return (self.generator,)


def _layout(name: str, values: Values, folder: Path) -> None:
    check_decoding(_Laid(name, values))


def _head(name: str, values: Values, folder: Path) -> None:
    head_laws(lambda width, sizes: build("head", name, values, width=width, sizes=sizes), folder)


def _refiner(name: str, values: Values, folder: Path) -> None:
    refiner_laws(lambda spec, given, words: build("refiner", name, values, spec=spec, given=given,
                                                  words=words), folder)  # fmt: skip


LAWS: Mapping[str, Callable[[str, Values, Path], None]] = {
    "corpus": _kind("corpus", corpus_laws),
    "text": _text,
    "tokenizer": _tokenizer,
    "vocoder": _vocoder,
    "backbone": _kind("backbone", backbone_laws),
    "layout": _layout,
    "head": _head,
    "refiner": _refiner,
    "decoding": _decoding,
    "transcriber": _kind("transcriber", transcriber_laws),
    "speaker-encoder": _kind("speaker-encoder", speaker_encoder_laws),
    "metric": _metric,
}
"""Kinds whose parts are held to more than to be built."""
