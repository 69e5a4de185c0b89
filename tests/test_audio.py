"""Sound in and out: rates, channels, ranges, scale, and files that are whole or not there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from slmkit.api import AudioError, StageError, Utterance
from slmkit.data import atomic
from slmkit.data.audio import is_silent, probe, read_audio, read_utterance, write_audio


def tone(rate: int, seconds: float = 0.5, hz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate * seconds)) / rate)).astype("f4")


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_any_rate_becomes_the_same_tone(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(rate), rate, subtype="FLOAT")
    wav = read_audio(path, 16000)
    assert wav.dtype == np.float32
    assert abs(len(wav) - 8000) <= 1
    inner = slice(400, 7600)
    np.testing.assert_allclose(wav[inner], tone(16000)[inner], atol=2e-3)


def test_resampling_does_not_fold_high_tones_back(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(48000, hz=11000), 48000, subtype="FLOAT")
    assert np.abs(read_audio(tmp_path / "a.wav", 16000)[400:-400]).max() < 1e-3


def test_channels_are_averaged_or_picked(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    left, right = tone(16000), tone(16000, hz=700)
    soundfile.write(path, np.stack([left, right], axis=1), 16000, subtype="PCM_24")
    np.testing.assert_allclose(read_audio(path), (left + right) / 2, atol=1e-6)
    np.testing.assert_allclose(read_audio(path, channel=1), right, atol=1e-6)
    picked = Utterance("u", path, extra={"channel": 0})
    np.testing.assert_allclose(read_utterance(picked), left, atol=1e-6)
    with pytest.raises(AudioError, match="no channel 2, it has 2"):
        read_audio(path, channel=2)


@given(first=st.integers(0, 7999), count=st.integers(1, 8000))
def test_a_range_is_a_slice(
    tmp_path_factory: pytest.TempPathFactory, first: int, count: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "range.wav"
    if not path.exists():
        soundfile.write(path, tone(16000), 16000, subtype="FLOAT")
    count = min(count, 8000 - first)
    part = read_audio(path, 16000, first / 16000, count / 16000)
    np.testing.assert_array_equal(part, tone(16000)[first : first + count])


def test_ranges_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_audio(path, tone(16000), 16000)
    assert len(read_audio(path, 16000, 0.2, 0.3004)) == 4800
    for start, duration, message in (
        (0.5, None, "beyond its end at 0.500"),
        (0.2, 0.5, "0.200 to 0.700 s lies beyond"),
        (-0.1, None, "not a range"),
        (0.0, 0.0, "not a range"),
        (0.0, -1.0, "not a range"),
    ):
        with pytest.raises(AudioError, match=message):
            read_audio(path, 16000, start, duration)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite(tmp_path: Path, bad: float) -> None:
    wav = tone(16000)
    wav[77] = bad
    soundfile.write(tmp_path / "a.wav", wav, 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"a.wav: 1 of 8000 samples are NaN or infinite"):
        read_audio(tmp_path / "a.wav")
    with pytest.raises(AudioError, match="NaN or infinite"):
        write_audio(tmp_path / "b.wav", wav, 16000)
    assert not (tmp_path / "b.wav").exists()


def test_a_little_too_loud_is_clipped_and_integers_as_floats_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "loud.wav", 3 * tone(16000), 16000, subtype="FLOAT")
    np.testing.assert_array_equal(
        read_audio(tmp_path / "loud.wav"), np.clip(3 * tone(16000), -1, 1)
    )
    soundfile.write(tmp_path / "int.wav", 32768 * tone(16000), 16000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"full scale is 1.0: divide them"):
        read_audio(tmp_path / "int.wav")


def test_missing_empty_broken(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"gone.wav: no such file"):
        read_audio(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match="not a file"):
        probe(tmp_path)
    (tmp_path / "text.wav").write_text("this is no sound")
    with pytest.raises(AudioError, match=r"text.wav: not sound that can be read"):
        read_audio(tmp_path / "text.wav")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    for reader in (read_audio, probe):
        with pytest.raises(AudioError, match=r"empty.wav: zero length"):
            reader(tmp_path / "empty.wav")
    with pytest.raises(AudioError, match="'u' is text alone"):
        read_utterance(Utterance("u", text="hi"))


def test_silence_is_sound(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.flac", np.zeros(160, dtype=np.float32), 16000)
    assert is_silent(read_audio(tmp_path / "a.flac"))
    assert not is_silent(tone(16000))
    assert is_silent(1e-5 * tone(16000))


@pytest.mark.parametrize("suffix", [".flac", ".wav", ".FLAC"])
def test_what_is_written_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / f"a{suffix}"
    write_audio(path, np.array([-1.5, -1.0, -0.25, 0.0, 0.5, 1.0, 1.5], np.float32), 8000)
    assert probe(path) == (7 / 8000, 8000, 1, 7)
    expected = [-1.0, -1.0, -0.25, 0.0, 0.5, 1.0, 1.0]
    np.testing.assert_allclose(read_audio(path, 8000), expected, atol=2**-14)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"as .flac or .wav, not '.mp3'"):
        write_audio(tmp_path / "a.mp3", tone(16000), 16000)
    for shape in ((0,), (2, 5)):
        with pytest.raises(AudioError, match=r"expected samples \[n\]"):
            write_audio(tmp_path / "a.wav", np.zeros(shape, np.float32), 16000)


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.flac"
    write_audio(path, tone(16000), 16000)
    before = path.read_bytes()

    def full(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic.Path, "replace", full)
    with pytest.raises(StageError, match=r"a.flac: the disk .* is full .*: free some room there"):
        write_audio(path, tone(16000, 1.0), 16000)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.flac"]


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StageError, match=r"a.flac: cannot be written: "):
        write_audio(tmp_path / "file" / "a.flac", tone(16000), 16000)
