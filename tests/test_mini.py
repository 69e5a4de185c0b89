"""The weights that slmkit carries: small, told of, and good for what their cards say."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import jiwer
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from slmkit.api import CodeSpec, MisfitError, SpeakerEncoder
from slmkit.data.audio import resampled
from slmkit.data.batches import pad_wavs
from slmkit.host import build, host
from slmkit.recipe.saved import SavedRun

pytest.importorskip("espeakng_loader")

from slmkit_spoken_qa.espeak import Espeak

PLUGINS = Path(__file__).resolve().parents[1] / "plugins"
FOLDERS = sorted(PLUGINS.glob("*/mini"))
CODECS = ("encodec-mini", "speechtokenizer-mini")
HIGH, LOW, TAUGHT = "en-us+f2", "en-us+m3", "en-us+f3"  # HIGH stands in no training
SAID = ("what is three plus five", "what is the opposite of cold", "which is smaller twelve or six")
MEGABYTE = 1e6


@pytest.fixture(scope="module")
def spoken() -> Mapping[str, list[torch.Tensor]]:
    """Each text in three voices, 16 kHz."""
    espeak = Espeak()
    voices = {}
    for voice in (HIGH, LOW, TAUGHT):
        heard = [espeak.speak(text, voice) for text in SAID]
        waves = [resampled(each.samples / 32768, each.sample_rate, 16000) for each in heard]
        voices[voice] = [torch.from_numpy(wav) for wav in waves]
    return voices


@pytest.fixture(scope="module", params=CODECS)
def codec(request: pytest.FixtureRequest) -> object:
    return build("tokenizer", request.param, {})


@cache
def voices() -> SpeakerEncoder:
    """Built once: it reads its weights."""
    return build("speaker-encoder", "resemblyzer", {})


def embedding(wav: torch.Tensor) -> np.ndarray:
    """The voice [d] of a wave [n]."""
    return voices().embed(wav[None], torch.tensor([len(wav)]))[0].numpy()


def test_every_carried_part_is_known() -> None:
    names = {f"{part.kind} {part.name}" for part in host().parts() if part.name.endswith("-mini")}
    assert names == {"tokenizer encodec-mini", "tokenizer mel-km-mini",
                     "tokenizer speechtokenizer-mini", "transcriber ctc-mini",
                     "vocoder unit-hifigan-mini"}  # fmt: skip
    assert len(FOLDERS) == len(names)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_carried_weights_are_small_and_their_card_says_whence(folder: Path) -> None:
    weights = load_file(folder / "weights.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.half}
    assert sum(tensor.numel() for tensor in weights.values()) <= 6_000_000
    assert (folder / "weights.safetensors").stat().st_size <= 12 * MEGABYTE
    card = (folder / "README.md").read_text()
    for due in ("licence", "at commit ", "seed 0", "recipes/", "Apache-2.0", "| what | split |"):
        assert due in card, due


def test_fewer_codebooks_are_the_first_of_all(
    codec, spoken: Mapping[str, list[torch.Tensor]]
) -> None:
    fewer = {"encodec-mini": {"books": 3}, "speechtokenizer-mini": {"codebooks": "1:3"}}
    name = codec.origin.shelved.name
    some = build("tokenizer", name, fewer[name])
    wav, lengths = pad_wavs([wav.numpy() for wav in spoken[HIGH]])
    codes = some.encode(wav, lengths)
    assert torch.equal(codes.values, codec.encode(wav, lengths).values[:, :3])
    assert some.decode(codes)[0].shape == codec.decode(codec.encode(wav, lengths))[0].shape


def test_a_copy_says_the_same_in_the_same_voice(
    codec, spoken: Mapping[str, list[torch.Tensor]]
) -> None:
    stoi, judge = build("metric", "stoi", {}), build("transcriber", "ctc-mini", {})
    heard = []
    for voice, stranger in ((HIGH, LOW), (LOW, HIGH)):
        for wav, other, text in zip(spoken[voice], spoken[stranger], SAID, strict=True):
            ends = torch.tensor([len(wav)])
            copy = codec.decode(codec.encode(wav[None], ends))[0][0, : len(wav)]
            score, parts = stoi.score(copy.numpy(), wav.numpy(), sample_rate=16000)
            assert score / parts > 0.75
            assert embedding(copy) @ embedding(wav) > embedding(copy) @ embedding(other)
            assert judge.transcribe(wav[None], ends) == [text]
            heard += judge.transcribe(copy[None], ends)
    assert jiwer.wer([*SAID, *SAID], heard) <= 0.5


def test_units_are_spoken_in_the_voice_that_is_asked_for(
    spoken: Mapping[str, list[torch.Tensor]],
) -> None:
    units = build("tokenizer", "mel-km-mini", {})
    vocoder = build("vocoder", "unit-hifigan-mini", {}, spec=units.spec)
    judge = build("transcriber", "ctc-mini", {})
    heard = []
    for voice, other in ((TAUGHT, LOW), (LOW, TAUGHT)):
        asked, unasked = [], []
        for wav in spoken[voice]:
            codes = units.encode(wav[None], torch.tensor([len(wav)]))
            said, lengths = vocoder.synthesize(codes, vocoder.voice(voice)[None])
            strange, _ = vocoder.synthesize(codes, vocoder.voice(other)[None])
            asked.append(embedding(said[0]) @ embedding(wav))
            unasked.append(embedding(strange[0]) @ embedding(wav))
            heard += judge.transcribe(said, lengths)
        assert np.mean(asked) > np.mean(unasked) + 0.05, (asked, unasked)
    assert jiwer.wer([*SAID, *SAID], heard) <= 0.5


def test_the_vocoder_refuses_units_that_it_does_not_know() -> None:
    with pytest.raises(MisfitError, match="400 units of mel-km-mini"):
        build("vocoder", "unit-hifigan-mini", {}, spec=CodeSpec(16000, 320, (500,)))


def test_a_vocoder_that_no_stage_fits_is_built_for_its_codes(tmp_path: Path) -> None:
    parts = {"vocoder": {"part": "unit-hifigan-mini"}, "coder": {"part": "encodec-mini"}}
    parts["coder"]["kind"] = "tokenizer"
    saved = SavedRun(tmp_path, {"parts": parts, "stages": {}}, {}, ())
    units = CodeSpec(16000, 320, (400,))
    assert saved.fitted_or_named("vocoder", units).spec.codebook_sizes == (400,)
    assert saved.fitted_or_named("coder", units).spec.codebooks == 8
