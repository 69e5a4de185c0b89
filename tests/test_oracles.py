"""The oracles prove something: their codes vary, references agree, a difference is found."""

from __future__ import annotations

from types import ModuleType

import oracles
import pytest
import torch

UNKNOWN = "/there/is/no/recorded/speech"


@pytest.fixture(params=["as it is", "without recorded speech"])
def anywhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracles serve with recorded speech and without."""
    if request.param == "without recorded speech":
        monkeypatch.setenv("SLMKIT_SPEECH", UNKNOWN)


def encodec_codes(model: torch.nn.Module, wav: torch.Tensor) -> list[torch.Tensor]:
    with torch.no_grad():
        return [codes[0] for codes, _ in model.encode(wav[None])]


@pytest.mark.usefixtures("anywhere")
def test_every_codebook_of_speechtokenizer_is_well_used(speechtokenizer: ModuleType) -> None:
    model = oracles.speech_tokenizer(speechtokenizer)
    with torch.no_grad():
        codes = [model.encode(wav[None])[:, 0] for wav in oracles.sounds(16000)]
        back = model.decode(codes[0][:, None])
    oracles.assert_well_used(codes)
    assert 0.1 < float(back.std()) < 3


@pytest.mark.usefixtures("anywhere")
def test_every_codebook_of_encodec_is_well_used_and_transformers_agrees(
    encodec: ModuleType,
) -> None:
    model = oracles.encodec_24khz(encodec)
    theirs = oracles.encodec_of_transformers(model)
    found = []
    for number, wav in enumerate(oracles.sounds(24000)):
        (codes,) = encodec_codes(model, wav)
        found.append(codes)
        if number % 2:
            continue
        with torch.no_grad():
            again = theirs.encode(wav[None], bandwidth=24.0).audio_codes[0, 0]
            back = theirs.decode(again[None, None], [None]).audio_values[0]
            oracles.assert_same_waves(back, model.decode([(codes[None], None)])[0], "transformers")
        oracles.assert_same_codes(again, codes, f"transformers, sound {number}")
    oracles.assert_well_used(found)


def test_every_codebook_of_encodec_48khz_is_well_used(encodec: ModuleType) -> None:
    model = oracles.encodec_48khz(encodec)
    theirs = oracles.encodec_of_transformers(model)
    wavs = oracles.sounds(48000, channels=2)
    oracles.assert_well_used([codes for wav in wavs for codes in encodec_codes(model, wav)])
    whole = wavs[0][:, :48000]
    # the package goes on with a second, short segment; transformers refuses what is not whole
    ours = encodec_codes(model, whole)[0]
    with torch.no_grad():
        again = theirs.encode(whole[None], bandwidth=24.0).audio_codes[0, 0]
    oracles.assert_same_codes(again, ours, "transformers")


def test_the_same_seed_draws_the_same_and_another_does_not(speechtokenizer: ModuleType) -> None:
    first, again, other = (oracles.speech_tokenizer(speechtokenizer, seed=s) for s in (3, 3, 4))
    wav = oracles.sounds(16000)[0][None]
    with torch.no_grad():
        codes = first.encode(wav)
        assert torch.equal(again.encode(wav), codes)
        assert not torch.equal(other.encode(wav), codes)


def test_sounds_are_of_odd_lengths_and_those_to_draw_from_are_others() -> None:
    one, two = oracles.sounds(16000, channels=2), oracles.sounds(16000, first=2)
    assert all(wav.shape[0] == 2 and not torch.equal(wav[0], wav[1]) for wav in one)
    assert all(wav.isfinite().all() and wav.abs().max() <= 1.5 for wav in one)
    assert sum(wav.shape[-1] % 320 != 0 for wav in one) >= 4
    assert not torch.equal(one[0][0, :16000], two[0][0, :16000])


def test_what_differs_is_found_and_named() -> None:
    codes = torch.arange(300).reshape(2, 150)
    oracles.assert_same_codes(codes, codes.clone(), "equal")
    other = codes.clone()
    other[1, 7], other[0, 9] = 3, 4
    message = "2 of 300 codes differ: codebook 1 frame 7: 157, not 3; codebook 0 frame 9: 9, not 4"
    with pytest.raises(AssertionError, match=message):
        oracles.assert_same_codes(codes, other, "x")
    with pytest.raises(AssertionError, match="not"):
        oracles.assert_same_codes(codes[:, 1:], codes, "x")
    with pytest.raises(AssertionError, match=r"\[150, 1\]"):
        oracles.assert_well_used([torch.stack([codes[0], codes[0] * 0])])
    wave = torch.linspace(-2, 2, 99)[None]
    oracles.assert_same_waves(wave + 1.5e-5, wave, "near")
    far = wave.clone()
    far[0, 42] += 1e-4
    with pytest.raises(AssertionError, match="sample 42 of 99"):
        oracles.assert_same_waves(far, wave, "far")


def test_a_tie_is_told_from_a_wrong_code(speechtokenizer: ModuleType) -> None:
    model = oracles.speech_tokenizer(speechtokenizer)
    wav = oracles.sounds(16000)[0][None]
    with torch.no_grad():
        latents, codes = model.encoder(wav)[0].T, model.encode(wav)[:, 0]
    assert oracles.differing(model, latents, codes, codes) == (0, 0)
    other = codes.clone()
    other[:, 3] = (codes[:, 3] + 1) % 1024
    other[5:, 8] = (codes[5:, 8] + 1) % 1024
    assert oracles.differing(model, latents, other, codes) == (2, 0)
    # two entries in one place: either is right, whatever follows
    books = [layer._codebook.embed for layer in model.quantizer.vq.layers]
    books[2][int(codes[2, 20] + 1) % 1024] = books[2][int(codes[2, 20])]
    tied = codes.clone()
    tied[2:, 20] = (codes[2:, 20] + 1) % 1024
    assert oracles.differing(model, latents, tied, codes) == (0, 1)
