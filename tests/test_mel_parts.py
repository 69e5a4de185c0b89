"""mel-km and griffin-lim: their laws, their features, and units that can be understood."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from slmkit_mel.mel_km import cosine_transform, slopes
from torch import nn

from slmkit.api import Codes, CodeSpec, DataError, MisfitError, OptionsError
from slmkit.codecs.griffin_lim import linear_of_mel, wave_of_log_mel
from slmkit.codecs.kmeans import assign, fit_kmeans, sample_frames
from slmkit.codecs.mel import LogMel, mel_filters
from slmkit.host import build
from slmkit.testing import tokenizer_laws, vocoder_laws
from slmkit.testing.tokenizers import sounds

OPTIONS = {"clusters": 16}


def mel_km(**options: object):
    part = build("tokenizer", "mel-km", {**OPTIONS, **options})
    part.fit([sounds(16000)])
    return part


def griffin_lim(spec: CodeSpec):
    tokenizer = mel_km(hop_length=spec.hop_length)
    part = build("vocoder", "griffin-lim", {"rounds": 8}, spec=spec)
    wav, lengths = sounds(16000)
    part.fit([(tokenizer.encode(wav, lengths).deduplicate(), wav, lengths)])
    return part


@pytest.mark.parametrize("options", [{}, {"deltas": True}, {"hop_length": 640, "window": 1024}])
def test_mel_km_keeps_the_laws(options: dict[str, object], tmp_path: Path) -> None:
    tokenizer_laws(lambda: mel_km(**options), tmp_path)


@pytest.mark.parametrize("hop", [320, 640])
def test_griffin_lim_keeps_the_laws(hop: int, tmp_path: Path) -> None:
    spec = CodeSpec(16000, hop, (16,))
    vocoder_laws(lambda: griffin_lim(spec), spec, tmp_path)


def test_what_is_not_fitted_says_so() -> None:
    with pytest.raises(DataError, match="fit"):
        build("tokenizer", "mel-km", OPTIONS).encode(*sounds(16000))
    spec = CodeSpec(16000, 320, (16,))
    codes = Codes.pad([torch.zeros(1, 3, dtype=torch.int64)], spec)
    with pytest.raises(DataError, match="fit-vocoder"):
        build("vocoder", "griffin-lim", spec=spec).synthesize(codes)
    with pytest.raises(MisfitError, match="multiple of 160"):
        build("vocoder", "griffin-lim", spec=CodeSpec(16000, 300, (16,)))
    with pytest.raises(DataError, match="too few"):
        build("tokenizer", "mel-km", {"clusters": 9999}).fit([sounds(16000)])


@pytest.mark.parametrize("hop", [320, 640])
def test_griffin_lim_speaks_a_single_unit(hop: int) -> None:
    """Its wave is shorter than the half window by which the ends of a wave are reflected."""
    spec = CodeSpec(16000, hop, (16,))
    codes = Codes.pad([torch.zeros(1, 1, dtype=torch.int64)], spec)
    wav, lengths = griffin_lim(spec).synthesize(codes)
    assert lengths.tolist() == [wav.shape[1]] == [hop]
    assert torch.isfinite(wav).all()


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.sampled_from([1, 22, 320, 321, 700, 5000, 12345]), min_size=2))
def test_features_are_the_same_to_the_last_bit_in_any_batch(lengths: list[int]) -> None:
    torch.manual_seed(len(lengths))
    part = build("tokenizer", "mel-km", OPTIONS)
    wav = torch.randn(len(lengths), max(lengths)) * 0.1
    together = part.features(wav, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        (alone,) = part.features(wav[row : row + 1, :length], torch.tensor([length]))
        assert torch.equal(alone, together[row])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"clusters": 0}, "at least 1"),
        ({"hop_length": 640, "window": 400}, "raise window"),
        ({"mels": 13}, "raise mels"),
    ],
)
def test_frames_that_cannot_be_are_refused(options: dict[str, int], named: str) -> None:
    with pytest.raises(OptionsError, match=named):
        build("tokenizer", "mel-km", options)


def test_level_does_not_change_a_unit() -> None:
    part = mel_km()
    wav, lengths = sounds(16000)
    loud = part.encode(wav[:3] * 3, lengths[:3])
    assert (loud.values == part.encode(wav[:3], lengths[:3]).values).float().mean() > 0.97


def test_mel_filters_are_slaneys() -> None:
    """Known points of the scale: linear to 1 kHz, and unit area of each filter."""
    filters = mel_filters(16000, 1024, 40)
    bins = torch.linspace(0, 8000, 513)
    areas = filters.sum(dim=1) * (bins[1] - bins[0])
    torch.testing.assert_close(areas[5:], torch.ones(35), atol=0.15, rtol=0)
    peaks = bins[filters.argmax(dim=1)]
    low = peaks[peaks < 900]
    assert (low.diff() - low.diff().mean()).abs().max() < 20
    high = peaks[peaks > 1500].log().diff()
    assert (high - high.mean()).abs().max() < 0.03


def test_log_mel_of_a_tone_peaks_at_its_band() -> None:
    mel = LogMel(n_mels=40)
    time = torch.arange(16000) / 16000
    frames = mel(torch.sin(2 * torch.pi * 1000 * time)[None])
    assert frames.shape == (1, 50, 40)
    band = frames[0, 25].argmax()
    bins = torch.linspace(0, 8000, 513)
    assert abs(float(bins[mel.filters[band].argmax()]) - 1000) < 80


def test_the_cosine_transform_is_orthonormal_and_slopes_are_slopes() -> None:
    matrix = cosine_transform(40, 13)
    torch.testing.assert_close(matrix.T @ matrix, torch.eye(13), atol=1e-5, rtol=0)
    line = torch.arange(20.0)[:, None] * 3
    torch.testing.assert_close(slopes(line)[2:-2], torch.full((16, 1), 3.0))


def test_assignment_is_the_nearest_and_does_not_depend_on_how_many() -> None:
    torch.manual_seed(0)
    features, centroids = torch.randn(200, 7), torch.randn(30, 7)
    near = torch.cdist(features.double(), centroids.double()).argmin(dim=1)
    assert torch.equal(assign(features, centroids), near)
    assert torch.equal(torch.cat([assign(row[None], centroids) for row in features]), near)
    same = centroids[[3, 3, 5]]
    assert assign(centroids[3:4], same).tolist() == [0], "the first of equals wins"


def test_kmeans_is_the_same_for_a_seed() -> None:
    features = np.random.default_rng(0).normal(size=(500, 5)).astype(np.float32)
    assert torch.equal(fit_kmeans(features, 8, 3), fit_kmeans(features, 8, 3))


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12), most=st.integers(1, 60))
def test_a_sample_is_drawn_from_the_stream_without_repeats(sizes: list[int], most: int) -> None:
    total = sum(sizes)
    stream = np.split(np.arange(total, dtype=np.float32)[:, None], np.cumsum(sizes)[:-1])
    sample = sample_frames(stream, most, seed=0)[:, 0].tolist()
    assert len(sample) == len(set(sample)) == min(most, total)
    if most >= total:
        assert sample == list(range(total))


def test_the_sample_is_even() -> None:
    counts = np.zeros(100)
    for seed in range(300):
        stream = np.split(np.arange(100, dtype=np.float32)[:, None], 10)
        counts[sample_frames(stream, 20, seed)[:, 0].astype(int)] += 1
    assert abs(counts[:50].mean() - counts[50:].mean()) < 5
    assert counts.min() > 25


def test_magnitudes_have_the_mel_bands_they_were_asked_for() -> None:
    filters = mel_filters(16000, 512, 40)
    torch.manual_seed(0)
    mel = torch.rand(3, 257) @ filters.T
    linear = linear_of_mel(mel, filters)
    assert (linear >= 0).all()
    error = (linear @ filters.T - mel).abs().mean() / mel.mean()
    assert error < 0.1


def lag(copy: torch.Tensor, wav: torch.Tensor) -> int:
    """Samples by which a copy is late: where the loudness of the two goes together best."""
    weights = torch.hann_window(161, periodic=False)[None, None]
    loud = [nn.functional.conv1d(w.square()[None, None], weights)[0, 0].sqrt() for w in (copy, wav)]
    made, true = (each - each.mean() for each in loud)
    lags = range(-240, 241)
    inner = slice(240, len(true) - 240)
    likeness = [float((made.roll(-shift)[inner] * true[inner]).sum()) for shift in lags]
    return lags[max(range(len(lags)), key=likeness.__getitem__)]


@pytest.mark.parametrize(("n_fft", "hop"), [(1024, 160), (800, 320)])
def test_the_wave_of_a_spectrogram_lies_where_the_sound_was(n_fft: int, hop: int) -> None:
    """By cross-correlation; without the frame in front it would come half a hop too soon."""
    generator = torch.Generator().manual_seed(3)
    time = torch.arange(16000) / 16000
    level = torch.rand(40, generator=generator).repeat_interleave(400)
    wav = 0.3 * level * torch.randn(16000, generator=generator) * (0.2 + time)
    mel = LogMel(16000, n_fft, hop, 80)
    copy = wave_of_log_mel(mel(wav[None])[0], mel)
    assert abs(lag(copy, wav)) <= hop // 6, f"it is {lag(copy, wav)} samples late"
    early = torch.cat([copy[hop // 2 :], copy.new_zeros(hop // 2)])
    assert lag(early, wav) < -hop // 3, "the measure tells half a hop"


def test_griffin_lim_speaks_units_where_they_were() -> None:
    """A unit of its own for each level of a tone: the copy rises and falls with the sound."""
    spec, hop = CodeSpec(16000, 320, (16,)), 320
    draw = torch.Generator().manual_seed(0)
    levels = torch.randint(0, 16, (1, 50), generator=draw)
    noise = torch.randn(50 * hop, generator=draw)
    wav = (0.02 * (1 + levels[0].repeat_interleave(hop)) * noise)[None]
    part = build("vocoder", "griffin-lim", {"rounds": 16, "window": 640}, spec=spec)
    codes = Codes.pad([levels], spec)
    part.fit([(codes, wav, torch.tensor([wav.shape[1]]))])
    copy, _ = part.synthesize(codes)
    assert abs(lag(copy[0], wav[0])) <= 24
