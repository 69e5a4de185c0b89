"""The measures of SLMTokBench: against slow re-computations, closed forms, and controls."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.information import CERTAINTIES, CORRELATIONS, discrete, gaussian
from slmkit.api import AudioError, Codes, CodeSpec, DataError, Interval, Utterance
from slmkit.benchmark import abx, invariance, purity
from slmkit.benchmark.coding import FlatCodes
from slmkit.benchmark.figures import Measure, Tally, across_seeds, row_value
from slmkit.benchmark.protocol import Invariance, Phones
from slmkit.benchmark.row import Failed, Value
from slmkit.data.audio import write_audio

SPEC = CodeSpec(16000, 320, (8, 16))
CHANGED = Invariance(items=2, noise_db=15.0, stretch=1.1, pitch=2.0, reverberation_s=0.4)
PHONES = Phones(items=99, shortest_s=0.0, tokens=5, triples=6)


# mutual information


@pytest.mark.parametrize("rho", CORRELATIONS)
def test_the_bound_of_gaussian_pairs_is_the_closed_form(rho: float) -> None:
    found = gaussian(rho, seed=1)
    assert found.bound == pytest.approx(rho**2 / (1 - rho**2))
    assert found.off < 5
    assert found.estimate > found.information


@pytest.mark.slow
@pytest.mark.parametrize("certainty", CERTAINTIES)
def test_the_probe_finds_the_bound_of_discrete_pairs(certainty: float, tmp_path: Path) -> None:
    found = discrete(certainty, tmp_path, steps=100)
    assert found.off < 5
    assert found.estimate > found.information


# phones and speakers


def laid(rows: dict[str, np.ndarray]) -> FlatCodes:
    """Codes [k, t] of utterances, as they lie on the disk."""
    ends = list(itertools.accumulate(codes.shape[1] for codes in rows.values()))
    places = {
        id: (end - codes.shape[1], end) for (id, codes), end in zip(rows.items(), ends, strict=True)
    }
    return FlatCodes(np.concatenate([c.T for c in rows.values()]).astype(np.int32), places, SPEC)


def speaking(id: str, phones: str, speaker: str | None, frames: int = 4) -> Utterance:
    """Every phone lasts so many frames."""
    second = frames / SPEC.frame_rate
    intervals = tuple(
        Interval(label, n * second, (n + 1) * second) for n, label in enumerate(phones)
    )
    return Utterance(id, Path("x.wav"), speaker=speaker, phones=intervals, duration=9.0)


def spelt(phones: str, frames: int = 4, seed: int = 0) -> np.ndarray:
    """The first codebook is the phone, the second is noise."""
    first = np.repeat([ord(p) - ord("a") for p in phones], frames)
    return np.stack([first, np.random.default_rng(seed).integers(0, 16, len(first))])


def test_information_and_purity_are_those_of_the_formulas() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, (6, 4)) + np.eye(6, 4, dtype=int) * 30
    total, mutual, entropy, pure = counts.sum(), 0.0, 0.0, 0.0
    for unit, kind in itertools.product(range(6), range(4)):
        p, of_unit, of_kind = (
            counts[unit, kind] / total,
            counts[unit].sum() / total,
            counts[:, kind].sum() / total,
        )
        mutual += p * math.log(p / (of_unit * of_kind)) if p else 0.0
    for kind in range(4):
        p = counts[:, kind].sum() / total
        entropy -= p * math.log(p)
    for unit in range(6):
        pure += max(counts[unit]) / total
    assert purity.normalized_information(counts) == pytest.approx(mutual / entropy)
    assert purity.purity(counts) == pytest.approx(pure)


def test_frames_take_the_phone_in_their_middle() -> None:
    """At 50 Hz the middles are 10, 30, 50, ... ms; a pause has no phone."""
    phones = [Interval("ˈa", 0.0, 0.03), Interval("AH1", 0.03, 0.06), Interval("b", 0.08, 0.2)]
    found = purity.frame_phones(phones, 6, 50.0)
    assert found == ["a", "AH", "AH", None, "b", "b"]


def test_units_that_are_phones_are_pure_and_noise_is_not() -> None:
    texts = {f"u{n}": "".join(np.random.default_rng(n).choice(list("abcd"), 12)) for n in range(30)}
    said = [speaking(id, text, f"s{n % 3}") for n, (id, text) in enumerate(texts.items())]
    codes = laid({id: spelt(text, seed=n) for n, (id, text) in enumerate(texts.items())})
    right, noise = (purity.measure_purity(codes, said, book) for book in (0, 1))
    assert right["phone-purity"]["figure"]["value"] == pytest.approx(1.0)
    assert right["phone-mutual-information"]["figure"]["value"] == pytest.approx(1.0)
    assert noise["phone-purity"]["figure"]["value"] < 0.4
    assert noise["phone-mutual-information"]["figure"]["value"] < 0.05
    for found in (right, noise):
        assert found["speaker-purity"]["figure"]["value"] < 0.5, "phones say nothing of who speaks"
        pairs = found["phone-purity"]["items"].values()
        value = sum(top for top, _ in pairs) / sum(bottom for _, bottom in pairs)
        assert value == pytest.approx(found["phone-purity"]["figure"]["value"])
    counts = np.zeros((8, 4), dtype=int)
    for utterance, text in zip(said, texts.values(), strict=True):
        units = codes.of(utterance.id, [0])[0]
        for unit, label in zip(units, np.repeat(list(text), 4), strict=True):
            counts[unit, "abcd".index(label)] += 1
    assert right["phone-purity"]["figure"]["value"] == pytest.approx(purity.purity(counts))


def test_units_that_are_voices_are_found_out() -> None:
    said = [speaking(f"u{n}", "abcd", f"s{n % 2}") for n in range(6)]
    codes = laid({f"u{n}": np.stack([np.full(16, n % 2), np.zeros(16)]) for n in range(6)})
    found = purity.measure_purity(codes, said, 0)
    assert found["speaker-purity"]["figure"]["value"] == 1.0
    assert found["speaker-purity"]["figure"]["direction"] == "lower"


def test_data_without_phones_or_speakers_says_so() -> None:
    said = [Utterance(f"u{n}", Path("x.wav"), duration=1.0) for n in range(3)]
    codes = laid({f"u{n}": spelt("abc") for n in range(3)})
    found = purity.measure_purity(codes, said, 0) | abx.measure_abx(codes, said, [0], PHONES)
    assert len(found) == 5
    for name, entry in found.items():
        assert "have no" in entry["figure"]["reason"], name
        assert "failed" not in entry


# ABX


def slow_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Every path, the cheapest of them, and of these the shortest, over its length."""

    def ways(t: int, s: int) -> list[tuple[float, int]]:
        apart = float((a[:, t] != b[:, s]).mean())
        if t == s == 0:
            return [(apart, 1)]
        before = [
            way
            for x, y in ((t - 1, s - 1), (t - 1, s), (t, s - 1))
            if x >= 0 and y >= 0
            for way in ways(x, y)
        ]
        return [(cost + apart, steps + 1) for cost, steps in before]

    return min(ways(a.shape[1] - 1, b.shape[1] - 1))


def test_stretches_are_warped_as_every_path_tells() -> None:
    """A tie of costs may be walked on paths of unlike length: the cost must be the least, and the
    length that of a path of this cost."""
    rng = np.random.default_rng(3)
    for _ in range(60):
        a, b = (rng.integers(0, 3, (2, rng.integers(1, 6))) for _ in range(2))
        alone = float(abx.distances([(a, b)])[0])
        cost, _ = slow_distance(a, b)
        longest = a.shape[1] + b.shape[1] - 1
        lengths = [cost / n for n in range(max(a.shape[1], b.shape[1]), longest + 1)]
        assert any(alone == pytest.approx(length) for length in lengths)
    assert abx.distances([(a, a)])[0] == 0


def test_a_distance_does_not_depend_on_what_else_is_warped() -> None:
    rng = np.random.default_rng(4)
    pairs = [
        tuple(rng.integers(0, 4, (2, rng.integers(1, 9))).astype(np.int32) for _ in range(2))
        for _ in range(50)
    ]
    together = abx.distances(pairs)
    assert together.tolist() == [float(abx.distances([pair])[0]) for pair in pairs]


@pytest.mark.parametrize("across", [False, True])
def test_triples_are_of_the_right_phones_and_voices(across: bool) -> None:
    """The tokens carry who says what: 10 times the speaker's number plus the phone's."""
    rows, said = {}, []
    for n in range(12):
        text, speaker = "abcabd"[n % 3 :] + "ab", n % 3
        marks = np.repeat([10 * speaker + ord(p) - ord("a") for p in text], 4)
        rows[f"u{n}"] = np.stack([marks, marks])
        said.append(speaking(f"u{n}", text, f"s{speaker}"))
    tokens = abx.tokens(laid(rows), said, [0], PHONES)
    cells = list(abx.triples(tokens, 6, across))
    assert cells
    for name, triples in cells:
        speaker, phone, other = name
        own = 10 * int(speaker[1])
        for a, b, x in triples:
            assert set(a.ravel()) == {own + ord(phone) - ord("a")}
            assert set(b.ravel()) == {own + ord(other) - ord("a")}
            assert {int(v) % 10 for v in x.ravel()} == {ord(phone) - ord("a")}
            assert all((int(v) // 10 == int(speaker[1])) != across for v in x.ravel())
            assert a is not x


def test_abx_of_perfect_units_is_0_of_constants_50_and_of_noise_near_50() -> None:
    texts = {f"u{n}": "".join(np.random.default_rng(n).choice(list("abcd"), 9)) for n in range(24)}
    said = [speaking(id, text, f"s{n % 3}") for n, (id, text) in enumerate(texts.items())]
    codes = laid({id: spelt(text, seed=n) for n, (id, text) in enumerate(texts.items())})
    constant = laid({id: np.zeros((2, 36), dtype=int) for id in texts})
    for name in abx.NAMES:
        perfect = abx.measure_abx(codes, said, [0], PHONES)[name]["figure"]
        noise = abx.measure_abx(codes, said, [1], PHONES)[name]["figure"]
        nothing = abx.measure_abx(constant, said, [0], PHONES)[name]["figure"]
        assert perfect["value"] == 0
        assert nothing["value"] == 50
        assert 35 < noise["value"] < 60
        assert abx.measure_abx(codes, said, [0], PHONES)[name]["figure"] == perfect


# invariance


def tone(hertz: float, seconds: float = 1.0, rate: int = 16000) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype("f4")


def pitch_of(wav: np.ndarray, rate: int = 16000) -> float:
    middle = wav[len(wav) // 4 : -len(wav) // 4] * np.hanning(
        len(wav[len(wav) // 4 : -len(wav) // 4])
    )
    spectrum = np.abs(np.fft.rfft(middle, 8 * len(middle)))
    return float(spectrum.argmax() * rate / (8 * len(middle)))


@pytest.mark.parametrize("factor", [0.8, 1.1, 1.5])
def test_a_stretched_tone_is_longer_and_as_high(factor: float) -> None:
    wav = tone(440.0)
    made = invariance.stretched(wav, factor, 16000)
    assert len(made) == round(len(wav) * factor)
    assert pitch_of(made) == pytest.approx(440, abs=3)
    inner = made[2000:-2000]
    assert np.sqrt(np.mean(inner**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.1)


def test_what_is_not_stretched_stays_as_it_is() -> None:
    rng = np.random.default_rng(0)
    wav = (0.1 * rng.standard_normal(8000)).astype("f4")
    made = invariance.stretched(wav, 1.0, 16000)
    assert np.allclose(made, wav, atol=1e-3)


@pytest.mark.parametrize("semitones", [-3.0, 2.0, 12.0])
def test_a_shifted_tone_is_higher_and_as_long(semitones: float) -> None:
    wav = tone(300.0)
    made = invariance.shifted(wav, semitones, 16000)
    assert len(made) == len(wav)
    assert pitch_of(made) == pytest.approx(300 * 2 ** (semitones / 12), rel=0.01)


def test_noise_lies_as_far_below_as_it_should() -> None:
    wav = tone(500.0)
    noise = invariance.changed(wav, "noise", CHANGED, 16000, seed=5) - wav
    ratio = 10 * np.log10(np.mean(wav**2) / np.mean(noise**2))
    assert ratio == pytest.approx(15, abs=0.1)


def test_a_room_rings_for_as_long_as_it_should() -> None:
    """A click's echo falls by 60 dB within the time, and is over after it."""
    wav = np.zeros(16000, "f4")
    wav[100] = 0.9
    made = invariance.changed(wav, "reverberation", CHANGED, 16000, seed=5).astype("f8")
    energy = np.cumsum(made[::-1] ** 2)[::-1]
    decay = 10 * np.log10(energy[101 + 3200] / energy[101])
    assert decay == pytest.approx(-30, abs=4)
    assert not np.abs(made[100 + 6500 :]).max() > 1e-6


@pytest.mark.parametrize("change", invariance.CHANGES)
def test_changes_are_drawn_by_their_seed(change: str) -> None:
    wav = tone(200.0, 0.5) + 0.01 * np.random.default_rng(1).standard_normal(8000).astype("f4")
    one, same = (invariance.changed(wav, change, CHANGED, 16000, seed=5) for _ in range(2))
    assert np.array_equal(one, same)
    assert np.isfinite(one).all()
    assert np.abs(one).max() <= 1
    if change in ("noise", "reverberation"):
        other = invariance.changed(wav, change, CHANGED, 16000, seed=6)
        assert not np.array_equal(one, other)


class Deaf:
    """Two codebooks: the first is the same whatever is heard, the second counts loud samples."""

    spec = SPEC

    def encode(self, wav: torch.Tensor, lengths: torch.Tensor) -> Codes:
        frames = 20
        loud = wav[0, : frames * (wav.shape[1] // frames)].reshape(frames, -1).abs().mean(1)
        second = (loud * 1000).long() % 16
        first = torch.arange(frames) % 8
        return Codes(torch.stack([first, second])[None], torch.tensor([frames]), SPEC)


def test_edits_are_counted_codebook_by_codebook(tmp_path: Path) -> None:
    said = []
    for n in range(3):
        path = tmp_path / f"{n}.wav"
        write_audio(path, tone(200 + 50 * n, 0.6), 16000)
        said.append(Utterance(f"u{n}", path, duration=0.6))
    selections = {"1": (0,), "2": (1,), "1:2": (0, 1)}
    found = invariance.measure_invariance(Deaf(), said, selections, CHANGED)
    for change in invariance.CHANGES:
        first, second, both = (found[f"edit-distance-{change}/{s}"]["items"] for s in selections)
        assert len(first) == CHANGED.items
        for id in first:
            assert first[id][0] == 0
            assert both[id] == pytest.approx(np.add(first[id], second[id]))


# figures


def test_what_cannot_be_scored_is_counted_and_never_a_number() -> None:
    def broken() -> tuple[float, float]:
        raise AudioError("no sound")

    tally, measure = Tally(), Measure("%", "lower", 100.0)
    tally.score("some", measure, "a", lambda: (1.0, 4.0))
    tally.score("some", measure, "b", broken)
    tally.score("some", measure, "c", lambda: (float("nan"), 1.0))
    tally.score("none", measure, "a", broken)
    tally.absent(["left-out"], "no decoder")
    found = tally.to_dict()
    assert found["some"]["figure"]["value"] == 25
    assert found["some"]["lost"] == 2
    assert found["some"]["items"] == {"a": (100.0, 4.0)}
    assert found["none"] == {"figure": {"reason": "no sound (1 of 1)"}, "failed": True}
    assert isinstance(row_value(found["none"]["figure"]), Failed)
    assert isinstance(row_value(found["some"]["figure"]), Value)
    assert "failed" not in found["left-out"]
    with pytest.raises(DataError):
        tally.add("some", measure, "d", (math.inf, 1.0))


def test_seeds_are_averaged_and_their_spread_is_the_interval() -> None:
    runs = [{"a": (1.0, 2.0), "b": (3.0, 4.0)}, {"a": (2.0, 2.0), "b": (4.0, 4.0)}]
    found = across_seeds(runs, Measure("%", "lower", 100.0))
    figure, items = found["figure"], found["items"]
    assert figure["value"] == pytest.approx(100 * (4 / 6 + 1) / 2)
    assert sum(top for top, _ in items.values()) / 6 == pytest.approx(figure["value"])
    spread = 12.706 * np.std([400 / 6, 100], ddof=1) / np.sqrt(2)
    assert figure["high"] - figure["value"] == pytest.approx(spread, rel=1e-4)
