"""An answer is heard while it is being made, and sounds as the whole does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from lively import enliven

from slmkit.api import Aligned, Codes, CodeSpec, Segment, Speech, Text, Vocoder
from slmkit.codecs.decoding_vocoder import as_vocoder
from slmkit.generation.loop import stream
from slmkit.generation.sampling import Sampling
from slmkit.generation.speaking import speak
from slmkit.host import build
from slmkit.testing.strategies import small_model

SPEC = CodeSpec(16000, 320, (20,))
SMALL = {
    "embedding_dim": 16,
    "upsample_rates": [8, 5, 8],
    "upsample_kernel_sizes": [16, 11, 16],
    "upsample_initial_channel": 32,
    "resblock_kernel_sizes": [3],
    "resblock_dilations": [1],
}


def unit_hifigan(**options: object) -> Vocoder:
    vocoder = build("vocoder", "unit-hifigan", {**SMALL, **options}, spec=SPEC)
    enliven(vocoder.generator)
    return vocoder


def griffin_lim() -> Vocoder:
    vocoder = build("vocoder", "griffin-lim", {"rounds": 4}, spec=SPEC)
    codes = Codes.pad([torch.arange(20)[None]], SPEC)
    vocoder.fit([(codes, torch.randn(1, 6400) / 9, torch.tensor([6400]))])
    return vocoder


def pieces(frames: int) -> list[Segment]:
    """A frame each, with text between and one aligned piece."""
    units = np.random.default_rng(0).integers(0, 20, (1, frames))
    said: list[Segment] = [Text("well ")]
    for at in range(frames - 2):
        said.append(Speech(units[:, at : at + 1], ends=False))
        said.append(Text("so "))
    return [*said, Aligned(np.array([1, -1]), units[:, -2:]), Speech(units[:, :0])]


def whole(said: list[Segment], vocoder: Vocoder, spec: CodeSpec, **voice: object) -> torch.Tensor:
    codes = np.concatenate([each.codes for each in said if not isinstance(each, Text)], axis=1)
    return vocoder.synthesize(Codes.pad([torch.from_numpy(codes)], spec), **voice)[0][0]


@pytest.mark.parametrize("merged", [False, True])
def test_the_chunks_are_the_whole(merged: bool) -> None:
    vocoder, spec = unit_hifigan(), replace(SPEC, deduplicated=merged)
    waves = list(speak(pieces(40), vocoder, spec))
    assert len(waves) > 20
    torch.testing.assert_close(
        torch.cat(waves), whole(pieces(40), vocoder, spec), atol=1e-5, rtol=0
    )


def test_sound_comes_before_the_next_piece_is_asked_for() -> None:
    asked = 0

    def counted() -> Iterator[Segment]:
        nonlocal asked
        for piece in pieces(40):
            asked += 1
            yield piece

    first = next(speak(counted(), unit_hifigan(), SPEC))
    assert len(first)
    assert asked < 20


def test_in_the_voice_that_was_asked_for() -> None:
    vocoder, voices = unit_hifigan(speaker_width=4), torch.randn(2, 4)
    heard = [torch.cat(list(speak(pieces(20), vocoder, SPEC, v[None]))) for v in voices]
    assert float((heard[0] - heard[1]).abs().max()) > 0.01
    wanted = whole(pieces(20), vocoder, SPEC, speaker=voices[:1])
    torch.testing.assert_close(heard[0], wanted, atol=1e-5, rtol=0)


def test_what_does_not_stream_speaks_at_the_end() -> None:
    vocoder = griffin_lim()
    (wav,) = speak(pieces(20), vocoder, SPEC)
    torch.testing.assert_close(wav, whole(pieces(20), vocoder, SPEC))


@pytest.mark.parametrize("vocoder", [unit_hifigan, griffin_lim])
def test_nothing_is_heard_of_text_alone(vocoder: object) -> None:
    assert list(speak([Text("silence"), Speech(np.zeros((1, 0), int))], vocoder(), SPEC)) == []


@pytest.mark.parametrize("strategy", ["flat", "delay"])
def test_a_model_speaks_while_it_thinks(strategy: str) -> None:
    """From a prompt to sound: a language model's frames through a codec's decoder."""
    codec = build("tokenizer", "encodec", {"kbps": 1.5})
    enliven(codec.codec.decoder)
    lm, vocoder = small_model(build("decoding", strategy), codec.spec), as_vocoder(codec)
    prompt = [Text("abc"), Speech(np.zeros((2, 0), np.int64), ends=False)]
    sampling = Sampling(temperature=0, most=60, least=60)
    answer = list(stream(lm, prompt, sampling))
    waves = list(speak(stream(lm, prompt, sampling), vocoder, codec.spec))
    assert len(waves) > 10
    torch.testing.assert_close(
        torch.cat(waves), whole(answer, vocoder, codec.spec), atol=1e-5, rtol=0
    )
