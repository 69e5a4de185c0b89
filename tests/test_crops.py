"""Crops of recordings, and what is done to them before a codec hears them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from toy_recordings import RATE, recordings

from slmkit.api import DataError, Utterance
from slmkit.training.crops import CropsOfSteps, Cutting
from slmkit.training.wave_augment import add_noise, respeed, reverberate

STILL = {"noise": 0.0, "reverberation": 0.0, "speed": 0.0}
CUTTING = Cutting(4, 3, 3200, RATE, None, STILL, seed=0)


@pytest.fixture(scope="module")
def utterances(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    return recordings(tmp_path_factory.mktemp("sound"))


def test_crops_follow_from_the_seed_and_the_step(utterances: list[Utterance]) -> None:
    one, other = CropsOfSteps(utterances, CUTTING), CropsOfSteps(utterances[::-1], CUTTING)
    for step in (0, 3):
        assert torch.equal(one[step].wav, CropsOfSteps(utterances, CUTTING)[step].wav)
    assert not torch.equal(one[0].wav, one[1].wav)
    assert not torch.equal(one[0].wav, CropsOfSteps(utterances, replace(CUTTING, seed=1))[0].wav)
    assert set(one[0].ids) <= {u.id for u in utterances}
    assert len(one) == len(other) == 4


def test_a_crop_is_a_stretch_of_its_file(utterances: list[Utterance]) -> None:
    batch = CropsOfSteps(utterances, CUTTING)[1]
    assert batch.wav.shape == batch.heard.shape == (3, 3200)
    assert torch.equal(batch.wav, batch.heard)
    for wav, name in zip(batch.wav.numpy(), batch.ids, strict=True):
        whole, _ = soundfile.read(utterances[int(name[1:])].audio, dtype="float32")
        windows = np.lib.stride_tricks.sliding_window_view(whole, 3200)
        assert np.abs(windows - wav).max(axis=1).min() == 0


def test_a_batch_takes_each_speaker_once(utterances: list[Utterance]) -> None:
    speakers = {u.id: u.speaker for u in utterances}
    every = set()
    for step in range(12):
        batch = CropsOfSteps(utterances, replace(CUTTING, batch=4, steps=12))[step]
        assert sorted(speakers[name] for name in batch.ids) == ["a", "b", "c", "d"]
        every |= set(batch.ids)
    assert every == set(speakers)
    many = CropsOfSteps(utterances, replace(CUTTING, batch=8))[0]
    assert sorted(speakers[name] for name in many.ids) == sorted("aabbccdd")


def test_who_speaks_nine_times_as_long_comes_three_times_as_often(
    utterances: list[Utterance],
) -> None:
    speakers = {u.id: u.speaker for u in utterances}
    mine = [u for u in utterances if u.speaker == "a"]
    others = [u for u in utterances if u.speaker != "a"]
    cutting = Cutting(600, 1, 160, RATE, None, STILL, seed=0)
    crops = CropsOfSteps([*mine * 9, *others], cutting)
    drawn = Counter(speakers[crops[step].ids[0]] for step in range(cutting.steps))
    assert 0.43 < drawn["a"] / cutting.steps < 0.57
    assert all(0.1 < drawn[name] / cutting.steps < 0.24 for name in "bcd")


def test_what_is_short_is_filled_and_ranges_are_kept(utterances: list[Utterance]) -> None:
    part = replace(utterances[0], start=0.5, duration=0.1)
    batch = CropsOfSteps([part], replace(CUTTING, batch=1))[0]
    whole, _ = soundfile.read(part.audio, dtype="float32")
    assert np.array_equal(batch.wav[0, :1600], whole[8000:9600])
    assert not batch.wav[0, 1600:].any()


def test_a_teacher_hears_at_its_own_rate(utterances: list[Utterance]) -> None:
    batch = CropsOfSteps(utterances, replace(CUTTING, teacher_rate=8000))[0]
    assert batch.taught is not None
    assert batch.taught.shape == (3, 1600)
    apart = batch.taught - batch.wav[:, ::2]
    assert float(apart[:, 50:-50].abs().max()) < 0.1


def test_nothing_to_train_on_is_refused() -> None:
    with pytest.raises(DataError, match="no utterance has sound"):
        CropsOfSteps([], CUTTING)


def test_the_codec_hears_what_was_made_worse_and_gives_back_what_was_not(
    utterances: list[Utterance],
) -> None:
    plain = CropsOfSteps(utterances, CUTTING)[0]
    worse = replace(CUTTING, augment={"noise": 1.0, "reverberation": 1.0, "speed": 0.0})
    batch = CropsOfSteps(utterances, worse)[0]
    assert torch.equal(batch.wav[0], plain.wav[0])
    assert bool(((batch.heard - batch.wav).abs().amax(dim=1) > 0.001).all())
    again = CropsOfSteps(utterances, worse)[0]
    assert torch.equal(batch.heard, again.heard)


def test_speed_moves_pitch_and_keeps_the_length(utterances: list[Utterance]) -> None:
    time = np.arange(4800) / RATE
    fast = respeed(np.sin(2 * np.pi * 400 * time).astype(np.float32), 1.1, 4000)
    assert len(fast) == 4000
    peak = np.abs(np.fft.rfft(fast * np.hanning(4000))).argmax() * RATE / 4000
    assert peak == pytest.approx(440, abs=4)
    quick = CropsOfSteps(utterances, replace(CUTTING, augment={**STILL, "speed": 1.0}))[0]
    assert torch.equal(quick.wav, quick.heard)
    assert quick.wav.shape == (3, 3200)


def test_noise_and_echoes_are_of_the_size_that_was_drawn() -> None:
    wav = (0.1 * np.sin(np.arange(16000) / 7)).astype(np.float32)
    for seed in range(5):
        noise = add_noise(wav, np.random.default_rng(seed)) - wav
        below = 20 * np.log10(np.std(wav) / np.std(noise))
        assert 4.9 < below < 30.1
    click = np.zeros(16000, dtype=np.float32)
    click[100] = 0.5
    wet = reverberate(click, RATE, np.random.default_rng(0))
    assert not wet[:99].round(4).any()
    assert np.square(wet[100:2100]).sum() > np.square(wet[2100:]).sum()
    for change in (add_noise, lambda w, r: reverberate(w, RATE, r)):
        assert not np.abs(change(np.zeros(800, np.float32), np.random.default_rng(0))).any()
