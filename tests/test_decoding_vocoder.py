"""Tokenizers that decode, in the place of a vocoder: whole, and in chunks."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_models
import torch
from lively import enliven
from torch import Tensor

from slmkit.api import Codes, MisfitError, Tokenizer
from slmkit.codecs.decoding_vocoder import DecodingVocoder, as_vocoder
from slmkit.host import build
from slmkit.testing import vocoder_streaming_laws


def random_codes(part: Tokenizer, frames: int, rows: int = 1) -> Codes:
    generator = torch.Generator().manual_seed(frames)
    size = min(part.spec.codebook_sizes)
    values = torch.randint(0, size, (rows, part.spec.codebooks, frames), generator=generator)
    return Codes(values, torch.full((rows,), frames), part.spec)


def streamed(part: DecodingVocoder, codes: Codes, size: int) -> Tensor:
    state, waves = part.empty_state(len(codes)), []
    for values in codes.values.split(size, dim=2):
        lengths = torch.full((len(codes),), values.shape[2])
        wav, state = part.step(Codes(values, lengths, codes.spec), state)
        waves.append(wav)
    return torch.cat([*waves, part.finish(state)], dim=1)


def hears_its_codes(part: DecodingVocoder) -> None:
    """Else any chunks would be the whole."""
    codes = random_codes(part.tokenizer, 30)
    other = random_codes(part.tokenizer, 31)
    other = Codes(other.values[..., :30], codes.lengths, codes.spec)
    assert float((part.synthesize(codes)[0] - part.synthesize(other)[0]).abs().max()) > 0.1


def small(name: str, folder: Path) -> Tokenizer:
    if name == "encodec":
        part = build("tokenizer", "encodec", {"kbps": 1.5})
    else:
        config = tiny_models.speechtokenizer(folder / "config.json")
        part = build("tokenizer", "speechtokenizer", {"config": str(config)})
    enliven(part.codec.decoder)
    part.codec.quantizer.entries.normal_(generator=torch.Generator().manual_seed(1))
    return part


@pytest.mark.parametrize("name", ["encodec", "speechtokenizer"])
def test_decoders_that_keep_a_state_are_the_whole_in_any_chunks(name: str, tmp_path: Path) -> None:
    part = as_vocoder(small(name, tmp_path))
    hears_its_codes(part)
    vocoder_streaming_laws(part, part.spec)


def test_speechtokenizer_speaks_a_frame_once_a_few_more_are_there(tmp_path: Path) -> None:
    part = as_vocoder(small("speechtokenizer", tmp_path))
    codes = random_codes(part.tokenizer, 40)
    wav, _ = part.step(codes, part.empty_state(1))
    late = 40 * part.spec.hop_length - wav.shape[1]
    assert 3 * 320 < late < 8 * 320, "a hearing of all codes would be no stream"


def test_encodec_at_48_khz_goes_segment_by_segment() -> None:
    tokenizer = build("tokenizer", "encodec", {"variant": "48khz", "kbps": 3.0})
    part = as_vocoder(tokenizer)
    generator = torch.Generator().manual_seed(0)
    wav = torch.randn(2, 60_000, generator=generator) / 4
    codes = tokenizer.encode(wav, torch.tensor([60_000, 60_000]))
    whole, _ = part.synthesize(codes)
    state, waves, at = part.empty_state(2), [], 0
    for index, frames in enumerate(codes.side["segments"][0].tolist()):
        side = {name: tensor[:, index : index + 1] for name, tensor in codes.side.items()}
        values = codes.values[..., at : at + frames]
        chunk = Codes(values, torch.full((2,), frames), codes.spec, side=side)
        wave, state = part.step(chunk, state)
        waves.append(wave)
        at += frames
    assert sum(wave.shape[1] for wave in waves) > 45_000
    joined = torch.cat([*waves, part.finish(state)], dim=1)
    assert joined.shape == whole.shape
    assert float((joined - whole).abs().max()) <= 1e-5
    with pytest.raises(MisfitError, match="segments"):
        part.step(random_codes(tokenizer, 7), part.empty_state(1))


@pytest.mark.parametrize("name", ["dac", "xcodec", "mimi"])
def test_windows_are_near_the_whole(name: str, tmp_path: Path) -> None:
    """A window's decoder hears next to nothing of what lies outside, whatever the chunks."""
    folder = getattr(tiny_models, name)(tmp_path / name)
    part = as_vocoder(build("tokenizer", name, {"weights": str(folder)}))
    codes = random_codes(part.tokenizer, round(4 * part.spec.frame_rate), rows=2)
    whole, _ = part.synthesize(codes)
    for size in (9, 50):
        joined = streamed(part, codes, size)
        assert joined.shape == whole.shape
        apart = float((joined - whole).square().mean().sqrt() / whole.square().mean().sqrt())
        assert apart < 1e-5
    part.tokenizer.decode_window = (0.0, 1 / part.spec.frame_rate)
    apart = streamed(part, codes, 9) - whole
    assert float(apart.abs().max() / whole.abs().max()) > 0.01, "the window is heard"


def test_what_decodes_whole_says_so_and_speaks_all_the_same() -> None:
    tokenizer = build("tokenizer", "mel-rvq", {"codebooks": 2, "clusters": 16})
    tokenizer.fit([(torch.randn(1, 32000) / 9, torch.tensor([32000]))])
    part = as_vocoder(tokenizer)
    assert not part.streams
    with pytest.raises(MisfitError, match="does not stream"):
        part.empty_state(1)
    codes = random_codes(tokenizer, 20)
    torch.testing.assert_close(part.synthesize(codes)[0], tokenizer.decode(codes)[0])


def test_what_cannot_speak_is_refused() -> None:
    with pytest.raises(MisfitError, match="neither"):
        as_vocoder(build("tokenizer", "mel-km"))
    codec = build("tokenizer", "encodec", {"kbps": 1.5})
    part = as_vocoder(codec)
    assert as_vocoder(part) is part
    with pytest.raises(MisfitError, match="give no speaker"):
        part.synthesize(random_codes(codec, 3), torch.zeros(1, 4))
