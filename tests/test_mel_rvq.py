"""mel-rvq: its laws, sound that comes nearer with each codebook, and streams to the last bit."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from slmkit_mel import mel_rvq as module
from slmkit_mel.mel_rvq import MelRvq
from torch import Tensor
from torch.nn import functional as F

from slmkit.api import Codes, DataError, MisfitError, OptionsError
from slmkit.codecs.griffin_lim import wave_of_log_mel
from slmkit.host import build, load_part
from slmkit.host.build import save_part
from slmkit.testing import tokenizer_laws
from slmkit.testing.tokenizers import sounds

RATE = 16000
OPTIONS = {"codebooks": 8, "clusters": 32}


def babble(seed: int, seconds: float = 1.5) -> Tensor:
    """A voice that glides through vowels, with hisses and pauses [n]."""
    draw = torch.Generator().manual_seed(seed)
    samples = int(seconds * RATE)

    def curve(low: float, high: float, points: int = 6) -> Tensor:
        values = low + (high - low) * torch.rand(1, 1, points, generator=draw)
        return F.interpolate(values, samples, mode="linear", align_corners=True)[0, 0]

    pitch, first, second = curve(90, 240), curve(250, 850), curve(900, 2600)
    phase = 2 * torch.pi * torch.cumsum(pitch.double() / RATE, dim=0)
    voice = torch.zeros(samples)
    for harmonic in range(1, 30):
        hz = harmonic * pitch
        level = torch.exp(-(((hz - first) / 150) ** 2))
        level = level + 0.5 * torch.exp(-(((hz - second) / 250) ** 2))
        voice += level * torch.sin(harmonic * phase).float()
    hiss = curve(-0.5, 0.3, 12).clamp(min=0) * torch.randn(samples, generator=draw)
    return 0.15 * curve(0, 1, 12) * voice + 0.1 * hiss


def one(wav: Tensor) -> tuple[Tensor, Tensor]:
    """A wave as a batch."""
    return wav[None], torch.tensor([len(wav)])


@cache
def heard() -> tuple[tuple[Tensor, Tensor], ...]:
    return tuple(one(babble(seed)) for seed in range(24))


@cache
def fitted(**options: int) -> MelRvq:
    part = build("tokenizer", "mel-rvq", {**OPTIONS, **options})
    part.fit(heard())
    return part


def copy_of(part: MelRvq, wav: Tensor) -> Tensor:
    made, lengths = part.decode(part.encode(*one(wav)))
    return made[0, : int(lengths[0])]


def distance(given: Tensor, reference: Tensor) -> float:
    metric = build("metric", "mel-distance")
    return metric.score(given.numpy(), reference.numpy(), RATE)[0]


@pytest.mark.parametrize(
    "options",
    [
        {"codebooks": 1, "clusters": 16},
        {"codebooks": 3, "clusters": 16, "hop_length": 640, "window": 2048},
        {"codebooks": 2, "clusters": 16, "hop_length": 201, "window": 402, "mels": 20},
    ],
)
def test_the_laws_hold_with_other_options(options: dict[str, int], tmp_path: Path) -> None:
    def make() -> MelRvq:
        part = build("tokenizer", "mel-rvq", options)
        part.fit([sounds(RATE)])
        return part

    tokenizer_laws(make, tmp_path)


def test_more_codebooks_bring_the_sound_nearer() -> None:
    unheard = [babble(seed) for seed in range(100, 104)]
    apart = []
    for codebooks in (1, 2, 4, 8):
        part = fitted(codebooks=codebooks)
        apart.append(sum(distance(copy_of(part, wav), wav) for wav in unheard) / len(unheard))
    assert all(fewer > more + 0.02 for fewer, more in pairwise(apart)), apart
    other = sum(distance(copy_of(part, unheard[0]), wav) for wav in unheard[1:]) / 3
    assert other > 2 * apart[0], "what is far has to measure far"


def test_the_first_codebooks_are_those_of_a_tokenizer_with_fewer() -> None:
    few, many = fitted(codebooks=2), fitted()
    assert torch.equal(few.entries, many.entries[:2])
    wav = one(babble(100))
    assert torch.equal(few.encode(*wav).values, many.encode(*wav).values[:, :2])


def test_most_entries_are_used_and_none_by_most_frames() -> None:
    part = fitted()
    values = torch.cat([part.encode(*each).values[0] for each in heard()], dim=1)
    for book in values:
        counts = torch.bincount(book, minlength=OPTIONS["clusters"])
        assert (counts > 0).float().mean() > 0.9
        assert counts.max() < 0.5 * counts.sum()


def test_a_fit_is_the_same_again_and_in_other_batches() -> None:
    again = build("tokenizer", "mel-rvq", OPTIONS)
    pairs = zip(heard()[::2], heard()[1::2], strict=True)
    again.fit((torch.cat([a, b]), torch.cat([short, long])) for (a, short), (b, long) in pairs)
    assert torch.equal(again.entries, fitted().entries)
    assert not torch.equal(fitted(seed=1).entries, fitted().entries), "a seed matters"


def test_codes_stand_for_the_sum_of_their_entries() -> None:
    part = fitted()
    (row,) = part.log_mel(*one(babble(100)))
    (codes,) = part.encode(*one(babble(100))).values
    left, before = row.double(), float("inf")
    for book, entries in zip(codes, part.entries.double(), strict=True):
        near = (left[:, None] - entries).square().sum(dim=-1).argmin(dim=-1)
        assert torch.equal(book, near), "each code is the nearest entry to what is left"
        left = left - entries[book]
        after = float(left.square().mean())
        assert after < before, "each codebook leaves less"
        before = after
    torch.testing.assert_close(part.log_mel_of(codes), (row - left).float(), atol=1e-4, rtol=0)


def test_a_code_changes_its_own_frame_alone() -> None:
    part = fitted()
    (codes,) = part.encode(*one(babble(100))).values
    other = codes.clone()
    other[3, 10] = (other[3, 10] + 1) % OPTIONS["clusters"]
    change = part.log_mel_of(other) - part.log_mel_of(codes)
    due = part.entries[3, other[3, 10]] - part.entries[3, codes[3, 10]]
    torch.testing.assert_close(change[10], due, atol=1e-4, rtol=0)
    assert change.abs().sum(dim=1).nonzero().flatten().tolist() == [10]


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.sampled_from([1, 22, 320, 321, 700, 5000, 12345]), min_size=2, max_size=6),
    chunks=st.lists(st.sampled_from([0, 1, 100, 320, 1023, 4000]), max_size=6),
)
def test_frames_are_the_same_to_the_last_bit_in_any_batch_and_in_any_chunks(
    lengths: list[int], chunks: list[int]
) -> None:
    torch.manual_seed(len(lengths))
    part = fitted(codebooks=2)
    wav = torch.randn(len(lengths), max(lengths)) * 0.1
    together = part.log_mel(wav, torch.tensor(lengths))
    seen: list[Tensor] = []
    for row, length in enumerate(lengths):
        own = wav[row : row + 1, :length]
        (alone,) = part.log_mel(own, torch.tensor([length]))
        assert torch.equal(alone, together[row])
        state, seen = part.empty_state(1), []
        for size in [*chunks, length]:
            codes, state = part.step(own[:, :size], state)
            seen.append(codes.values)
            own = own[:, size:]
        seen.append(part.finish(state).values)
        whole = part.encode(wav[row : row + 1, :length], torch.tensor([length]))
        assert torch.equal(torch.cat(seen, dim=2), whole.values)


def test_a_frame_is_the_same_to_the_last_bit_among_any_number() -> None:
    part = build("tokenizer", "mel-rvq", OPTIONS)
    wav = torch.cat([babble(seed) for seed in range(100, 104)])
    hop, window = part.options.hop_length, part.options.window
    frames = (len(wav) - window) // hop + 1
    whole = part._spectra(wav, frames)
    for count in (1, 2, 7):
        for at in range(0, frames - count, count):
            some = part._spectra(wav[at * hop :], count)
            assert torch.equal(some, whole[at : at + count])


def test_a_stream_waits_for_no_more_than_a_window() -> None:
    part = fitted(codebooks=2)
    _, state = part.step(babble(100)[None], part.empty_state(1))
    late = part.finish(state).values.shape[2]
    assert late <= -(-part.options.window // (2 * part.options.hop_length))
    assert state["heard"].shape[1] < part.options.window


def test_the_copy_is_as_loud_and_lies_where_the_sound_was() -> None:
    part = fitted()
    wav = babble(100)
    ratio = copy_of(part, wav).square().mean() / copy_of(part, wav / 4).square().mean()
    assert 8 < ratio < 32, f"four times the amplitude is 16 times the power, not {ratio:.1f}"
    time = torch.arange(RATE) / RATE
    for middle in (0.3, 0.5, 0.7):
        burst = 0.3 * torch.sin(2 * torch.pi * 440 * time)
        burst = burst * torch.exp(-(((time - middle) / 0.03) ** 2))
        plain = build("tokenizer", "mel-rvq", {"codebooks": 1})
        copy = wave_of_log_mel(plain.log_mel(*one(burst))[0], plain.mel)
        power = copy.square() / copy.square().sum()
        found = float((power * time).sum())
        assert abs(found - middle) < 0.005, f"a sound at {middle} s is heard at {found:.4f} s"


def test_long_codes_are_spoken_in_stretches_that_join(monkeypatch: pytest.MonkeyPatch) -> None:
    part, wav = fitted(), babble(100, seconds=3.0)
    codes = part.encode(*one(wav))
    whole, _ = part.decode(codes)
    monkeypatch.setattr(module, "SPOKEN", 40)
    blocks = list(part.decode_long(codes))
    assert [block.shape[1] for block in blocks] == [40 * 320] * 3 + [30 * 320]
    joined, lengths = part.decode(codes)
    assert torch.equal(torch.cat(blocks, dim=1), joined)
    assert lengths.tolist() == [len(wav)]
    assert not torch.equal(joined, whole)
    assert distance(joined[0], wav) < 1.1 * distance(whole[0], wav)
    steps = joined[0].diff().abs()
    joints = torch.cat([steps[40 * 320 * n - 2 : 40 * 320 * n + 2] for n in (1, 2, 3)])
    assert joints.max() < steps.max(), "no click where two stretches meet"


@pytest.mark.parametrize("frames", [1, 2, 41, 48, 49, 80, 88, 89])
def test_any_number_of_frames_has_its_samples(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SPOKEN", 40)
    for options in ({}, {"hop_length": 321, "window": 2048, "codebooks": 1}):
        part = build("tokenizer", "mel-rvq", {**OPTIONS, **options})
        part.entries.copy_(torch.randn(part.entries.shape))
        values = torch.zeros(part.spec.codebooks, frames, dtype=torch.int64)
        wav, lengths = part.decode(Codes.pad([values], part.spec))
        assert lengths.tolist() == [wav.shape[1]] == [frames * part.options.hop_length]


def test_codes_of_fewer_codebooks_are_refused() -> None:
    part = fitted()
    codes = part.encode(*one(babble(100)))
    spec = replace(part.spec, codebook_sizes=part.spec.codebook_sizes[:1])
    with pytest.raises(MisfitError, match="mel-rvq decodes"):
        part.decode(Codes(codes.values[:, :1], codes.lengths, spec))
    with pytest.raises(MisfitError, match="lies in no codebook"):
        part.decode(replace(codes, values=codes.values + OPTIONS["clusters"]))


def test_what_is_not_fitted_says_so() -> None:
    part = build("tokenizer", "mel-rvq", OPTIONS)
    codes = Codes.pad([torch.zeros(8, 3, dtype=torch.int64)], part.spec)
    for work in (
        lambda: part.encode(*one(babble(0))),
        lambda: part.decode(codes),
        lambda: list(part.decode_long(codes)),
        lambda: part.step(torch.zeros(1, 5), part.empty_state(1)),
    ):
        with pytest.raises(DataError, match="'mel-rvq' has not been fitted"):
            work()
    with pytest.raises(DataError, match="too few"):
        build("tokenizer", "mel-rvq", {"clusters": 9999}).fit([sounds(RATE)])
    assert torch.isnan(part.entries).all(), "a fit that fails leaves nothing behind"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"codebooks": 0}, "at least 1"),
        ({"hop_length": 640}, "raise window"),
        ({"frames": 100}, "raise frames"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, int], named: str) -> None:
    with pytest.raises(OptionsError, match=named):
        build("tokenizer", "mel-rvq", options)


def test_it_is_saved_with_what_it_takes_to_build_it(tmp_path: Path) -> None:
    part = fitted(codebooks=2)
    save_part(part, tmp_path, part.origin.shelved, part.origin.options, {})
    again, wav = load_part(tmp_path), one(babble(100))
    assert torch.equal(again.encode(*wav).values, part.encode(*wav).values)
    assert [file.name for file in tmp_path.glob("weights*")] == ["weights.safetensors"]
