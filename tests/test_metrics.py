"""Metrics: against their references, at their ends, and on what cannot be measured."""

from __future__ import annotations

import jiwer
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pystoi import stoi

from slmkit.api import Codes, CodeSpec, DataError, MissingDependencyError
from slmkit.host import build, host
from slmkit.testing.metrics import metric_laws

WORDS = st.lists(st.sampled_from(["one", "two", "three", "four"]), min_size=1, max_size=6)


@settings(max_examples=100, deadline=None)
@given(pairs=st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_error_rates_are_jiwers(pairs: list[tuple[list[str], list[str]]]) -> None:
    hypotheses = [" ".join(a) for a, _ in pairs]
    references = [" ".join(b) for _, b in pairs]
    for name, theirs in (("wer", jiwer.wer), ("cer", jiwer.cer)):
        metric = build("metric", name)
        scores = [metric.score(h, r) for h, r in zip(hypotheses, references, strict=True)]
        ours = sum(top for top, _ in scores) / sum(bottom for _, bottom in scores)
        assert ours == pytest.approx(theirs(references, hypotheses))


def test_case_and_punctuation_do_not_count() -> None:
    assert build("metric", "wer").score(
        "Printing, in the ONLY sense!", "printing in the only sense"
    ) == (0, 5)
    assert build("metric", "exact").score("It's  one.", "it's one") == (1, 1)
    assert build("metric", "exact").score("", "one") == (0, 1)
    assert build("metric", "wer").score("", "one two") == (2, 2)


@pytest.mark.parametrize("name", ["wer", "cer", "exact"])
def test_an_empty_reference_measures_nothing(name: str) -> None:
    with pytest.raises(DataError, match="no words"):
        build("metric", name).score("one", " ... ")


def speechlike(seed: int = 0, seconds: float = 2.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * 16000)) / 16000
    carrier = sum(
        np.sin(2 * np.pi * f * time + p)
        for f, p in zip([150, 600, 1700, 3100], rng.uniform(0, 6, 4), strict=True)
    )
    wav = carrier * (0.2 + np.sin(2 * np.pi * 4 * time) ** 2) + rng.normal(size=len(time)) * 0.05
    return (0.1 * wav).astype(np.float32)


def test_a_copy_is_perfect_and_noise_is_worse() -> None:
    wav = speechlike()
    noisy = wav + np.random.default_rng(1).normal(size=len(wav)).astype(np.float32) * 0.1
    mel, intelligible = build("metric", "mel-distance"), build("metric", "stoi")
    assert mel.score(wav, wav)[0] == 0
    assert mel.score(noisy, wav)[0] > 0.2
    assert mel.score(noisy, wav)[0] == pytest.approx(mel.score(wav, noisy)[0])
    assert intelligible.score(wav, wav)[0] == pytest.approx(1, abs=1e-3)
    assert intelligible.score(noisy, wav)[0] == pytest.approx(stoi(wav, noisy, 16000))
    assert intelligible.score(noisy, wav)[0] < 0.98


WAVE_METRICS = ["mel-distance", "stft-distance", "stoi", "pesq", "si-sdr"]


def noisy(wav: np.ndarray, level: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=len(wav)).astype(np.float32)
    return wav + level * noise


@pytest.mark.parametrize("name", WAVE_METRICS)
def test_more_noise_is_worse(name: str) -> None:
    metric, wav = build("metric", name), speechlike()
    levels = [metric.score(noisy(wav, level), wav)[0] for level in (0.001, 0.01, 0.1)]
    assert levels == sorted(levels, reverse=metric.direction == "higher")
    assert len(set(levels)) == 3


@pytest.mark.parametrize("name", WAVE_METRICS)
def test_a_copy_of_other_length_is_cut(name: str) -> None:
    metric, wav = build("metric", name), speechlike()
    given = noisy(wav, 0.05)
    short = metric.score(given[:-100], wav[:-100])
    assert metric.score(given[:-100], wav) == short
    assert metric.score(given, wav[:-100]) == short


def test_stft_distance_is_that_of_numpy() -> None:
    wav = speechlike(seconds=0.5)
    given = noisy(wav, 0.05)
    total = 0.0
    for size in (2048, 1024, 512):
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
        spectra = []
        for each in (given, wav):
            padded = np.pad(each.astype(np.float64), size // 2, mode="reflect")
            starts = range(0, len(padded) - size + 1, size // 4)
            frames = np.stack([padded[at : at + size] * window for at in starts])
            spectra.append(np.sqrt(np.abs(np.fft.rfft(frames)) ** 2 + 1e-9))
        copy, true = spectra
        total += np.linalg.norm(true - copy) / np.linalg.norm(true)
        total += np.abs(np.log(true) - np.log(copy)).mean()
    top, bottom = build("metric", "stft-distance").score(given, wav)
    assert top / bottom == pytest.approx(total / 3, rel=1e-4)


def test_si_sdr_is_that_of_its_definition_and_does_not_hear_the_level() -> None:
    metric, wav = build("metric", "si-sdr"), speechlike()
    given = noisy(wav, 0.05)
    ours, true = (each.astype(np.float64) - each.astype(np.float64).mean() for each in (given, wav))
    scale = np.dot(ours, true) / np.dot(true, true)
    error = ours - scale * true
    expected = 10 * np.log10(np.sum((scale * true) ** 2) / np.sum(error**2))
    assert metric.score(given, wav)[0] == pytest.approx(expected, abs=1e-6)
    assert metric.score(0.1 * given + 0.2, wav)[0] == pytest.approx(expected, abs=1e-3)
    assert metric.score(wav, wav)[0] == 100
    shifted = np.roll(wav, 40)
    assert metric.score(shifted, wav)[0] < 5, "what is heard later is not the same wave"


def test_si_sdr_of_noise_of_a_known_power_is_that_power() -> None:
    rng = np.random.default_rng(0)
    wav, noise = rng.normal(size=(2, 200_000)).astype(np.float32)
    for snr in (20.0, 0.0, -10.0):
        given = wav + 10 ** (-snr / 20) * noise
        assert build("metric", "si-sdr").score(given, wav)[0] == pytest.approx(snr, abs=0.2)


def test_pesq_is_the_packages_and_wide_band_at_16_khz_alone() -> None:
    pesq = pytest.importorskip("pesq")
    metric, wav = build("metric", "pesq"), speechlike()
    given = noisy(wav, 0.02)
    assert metric.score(given, wav)[0] == pytest.approx(pesq.pesq(16000, wav, given, "wb"))
    with pytest.raises(DataError, match="16000 Hz, not at 8000"):
        metric.score(given, wav, 8000)


@pytest.mark.parametrize("name", ["pesq", "si-sdr", "stft-distance"])
def test_what_cannot_be_scored_is_an_error_and_not_a_number(name: str) -> None:
    metric, wav = build("metric", name), speechlike()
    silent = np.zeros_like(wav)
    cases = {
        "pesq": [(wav, silent), (silent, wav), (wav[:2000], wav[:2000])],
        "si-sdr": [(wav, silent), (silent, wav)],
        "stft-distance": [(wav[:1000], wav[:1000])],
    }
    for copy, reference in cases[name]:
        with pytest.raises(DataError, match=f"{name} cannot be measured"):
            metric.score(copy, reference)


def test_a_metric_whose_package_is_missing_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("slmkit.host.registry._installed", lambda module: module != "pesq")
    assert host().find("metric", "pesq").missing == ("pesq",)
    with pytest.raises(MissingDependencyError, match=r"pesq: pip install 'slmkit\[eval\]'"):
        build("metric", "pesq")


@pytest.mark.parametrize("name", WAVE_METRICS)
def test_waves_that_cannot_be_compared_are_refused(name: str) -> None:
    metric, wav = build("metric", name), speechlike()
    broken = wav.copy()
    broken[5] = np.nan
    for bad, said in ((wav[:0], "empty"), (wav[:9000], "no copies"), (broken, "finite")):
        with pytest.raises(DataError, match=said):
            metric.score(bad, wav)


@pytest.mark.parametrize("wav", [np.zeros(16000, dtype=np.float32), speechlike(seconds=0.1)])
def test_stoi_of_too_little_is_an_error_and_not_a_number(wav: np.ndarray) -> None:
    with pytest.raises(DataError, match="stoi cannot be measured"):
        build("metric", "stoi").score(wav, wav)


def units(*values: int) -> Codes:
    return Codes.pad([torch.tensor([values])], CodeSpec(16000, 320, (9,)))


@settings(max_examples=100, deadline=None)
@given(
    a=st.lists(st.integers(0, 3), min_size=1, max_size=9),
    b=st.lists(st.integers(0, 3), min_size=1, max_size=9),
)
def test_unit_edit_distance_is_levenshteins(a: list[int], b: list[int]) -> None:
    def merged(x: list[int]) -> list[int]:
        return [u for i, u in enumerate(x) if i == 0 or u != x[i - 1]]

    a_, b_ = merged(a), merged(b)
    table = [[i + j if i * j == 0 else 0 for j in range(len(b_) + 1)] for i in range(len(a_) + 1)]
    for i in range(1, len(a_) + 1):
        for j in range(1, len(b_) + 1):
            table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1,
                              table[i - 1][j - 1] + (a_[i - 1] != b_[j - 1]))  # fmt: skip
    assert build("metric", "unit-edit-distance").score(units(*a), units(*b)) == (
        table[-1][-1],
        len(b_),
    )


SENTENCES = ("one two three", "two two", "four words stand here")
ITEMS = {
    "wer": (SENTENCES, 0.0),
    "cer": (SENTENCES, 0.0),
    "exact": (SENTENCES, 1.0),
    "mel-distance": (tuple(speechlike(seed) for seed in range(3)), 0.0),
    "stoi": (tuple(speechlike(seed) for seed in range(3)), 1.0),
    "stft-distance": (tuple(speechlike(seed) for seed in range(3)), 0.0),
    "pesq": (tuple(speechlike(seed) for seed in range(3)), 4.6439),
    "si-sdr": (tuple(speechlike(seed) for seed in range(3)), 100.0),
    "unit-edit-distance": ((units(1, 2, 3), units(4, 4, 5), units(3, 2, 1, 0)), 0.0),
}


@pytest.mark.parametrize("name", [part.name for part in host().parts("metric")])
def test_every_metric_keeps_the_laws(name: str) -> None:
    items, best = ITEMS[name]
    metric_laws(build("metric", name), items, best)


def test_the_laws_find_a_metric_whose_direction_is_wrong() -> None:
    metric = build("metric", "wer")
    metric.direction = "higher"
    with pytest.raises(AssertionError, match="better than a copy"):
        metric_laws(metric, SENTENCES, 0.0)
