"""Sound in and out: whatever libsndfile reads becomes mono float32 at the rate asked for."""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from slmkit.api import AudioError, StageError, Utterance
from slmkit.data.atomic import TEMPORARY, write_atomically

Wave = NDArray[np.float32]
"""Float32 [n], -1..1, mono."""

RANGE_SLACK_S = 0.1
"""How far a range may reach beyond its file: manifests round, and lossy headers estimate."""

BLOCK_S = 10.0
"""Seconds of a block when a long file is not read at once."""

LOUDEST = 16.0
"""Peaks up to here (24 dB over full scale) are clipped; beyond, the scale itself is wrong."""


class Probe(NamedTuple):
    """What a file's header says."""

    duration: float
    sample_rate: int
    channels: int
    samples: int


def probe(path: Path | str) -> Probe:
    """Duration in seconds, rate, channels and samples, without decoding.

    Raises AudioError where the file is missing, is no sound, or holds no sample.
    """
    with _opened(Path(path)) as file:
        if file.frames == 0:
            raise AudioError(f"{path}: zero length, there is no sample in it")
        rate = int(file.samplerate)
        return Probe(file.frames / rate, rate, int(file.channels), int(file.frames))


def read_audio(
    path: Path | str,
    sample_rate: int = 16000,
    start: float = 0.0,
    duration: float | None = None,
    channel: int | None = None,
) -> Wave:
    """A file, or `duration` seconds of it from `start` on, as float32 [n] at `sample_rate`.

    Channels are averaged, or one is taken. Resampling is soxr's HQ. A little over full scale, as
    lossy decoders and resampling give it, is clipped to -1..1; peaks above `LOUDEST` (integers
    stored as floats) are refused. Silence is sound as any other: see `is_silent`.

    Raises AudioError, which names the file: missing, broken, empty, not finite, out of range.
    """
    path = Path(path)
    with _opened(path) as file:
        rate = int(file.samplerate)
        first, count = _sample_range(path, file, start, duration)
        _seek(path, file, first)
        mono = _read(path, file, count, channel)
    if len(mono) == 0:
        raise AudioError(f"{path}: zero length, there is no sample in it")
    if rate != sample_rate:
        mono = soxr.resample(mono, rate, sample_rate, quality="HQ")
        if len(mono) == 0:
            raise AudioError(f"{path}: too short to hold one sample at {sample_rate} Hz")
    return np.ascontiguousarray(np.clip(mono, -1.0, 1.0), dtype=np.float32)


def read_blocks(
    path: Path | str,
    sample_rate: int = 16000,
    start: float = 0.0,
    duration: float | None = None,
    channel: int | None = None,
) -> Iterator[Wave]:
    """The same in blocks of about `BLOCK_S` seconds, joined equal to `read_audio`'s.

    One block is in memory at a time. A file that breaks in the middle raises when it comes to that.
    """
    path = Path(path)
    with _opened(path) as file:
        rate = int(file.samplerate)
        first, left = _sample_range(path, file, start, duration)
        _seek(path, file, first)
        stream = None
        if rate != sample_rate:
            stream = soxr.ResampleStream(rate, sample_rate, 1, dtype="float32", quality="HQ")
        given = 0
        while left > 0:
            mono = _read(path, file, min(left, int(BLOCK_S * rate)), channel)
            # what a header promises and the file has not ends the sound here
            left = left - len(mono) if len(mono) else 0
            wav = mono if stream is None else stream.resample_chunk(mono, last=left == 0)
            given += len(wav)
            if len(wav):
                yield np.ascontiguousarray(np.clip(wav, -1.0, 1.0), dtype=np.float32)
    if given == 0:
        raise AudioError(f"{path}: too short to hold one sample at {sample_rate} Hz")


def utterance_blocks(utterance: Utterance, sample_rate: int = 16000) -> Iterator[Wave]:
    """The sound of an utterance in blocks, as `read_blocks`. Errors as `read_utterance`."""
    if utterance.audio is None:
        raise AudioError(f"utterance '{utterance.id}' is text alone, it has no sound to read")
    return read_blocks(
        utterance.audio,
        sample_rate,
        utterance.start,
        utterance.duration,
        utterance.extra.get("channel"),
    )


def read_utterance(utterance: Utterance, sample_rate: int = 16000) -> Wave:
    """The sound of an utterance, float32 [n]; `extra["channel"]` picks a channel.

    Raises AudioError, which names the utterance where it has no sound.
    """
    if utterance.audio is None:
        raise AudioError(f"utterance '{utterance.id}' is text alone, it has no sound to read")
    return read_audio(
        utterance.audio,
        sample_rate,
        utterance.start,
        utterance.duration,
        utterance.extra.get("channel"),
    )


def write_audio(path: Path | str, wav: Wave, sample_rate: int) -> None:
    """Write float [n] as 16-bit FLAC or WAV (the suffix says which), whole or not at all.

    What exceeds full scale is clipped. Raises AudioError for an empty or not finite wave or
    another suffix, StageError where the disk is full.
    """
    path = Path(path)
    kind = _kind(path)
    wav = np.asarray(wav)
    if wav.ndim != 1 or wav.size == 0:
        raise AudioError(f"{path}: expected samples [n], got shape {list(wav.shape)}")
    _check_scale(path, wav)
    packed = io.BytesIO()
    soundfile.write(packed, _pcm(wav), sample_rate, format=kind, subtype="PCM_16")
    write_atomically(path, packed.getbuffer(), durable=False)


def write_blocks(path: Path | str, blocks: Iterable[Wave], sample_rate: int) -> int:
    """Write float [n] blocks one after the other as `write_audio` does; gives the samples written.

    Errors as `write_audio`; a file that was there stays until the last block is written.
    """
    path = Path(path)
    kind = _kind(path)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    written = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with soundfile.SoundFile(beside, "w", sample_rate, 1, "PCM_16", format=kind) as file:
            for block in blocks:
                if len(block):
                    _check_scale(path, block)
                    file.write(_pcm(block))
                    written += len(block)
        if not written:
            raise AudioError(f"{path}: there is no sample to write")
        beside.replace(path)
    except (OSError, soundfile.SoundFileError) as error:
        raise StageError(f"{path}: cannot be written: {_reason(error)}") from error
    finally:
        beside.unlink(missing_ok=True)
    return written


def resampled(wav: Wave, rate: int, wanted: int) -> Wave:
    """A wave [n] at another rate, by soxr's HQ as in `read_audio`; at its own it stays the same."""
    if rate == wanted:
        return wav
    made = soxr.resample(wav, rate, wanted, quality="HQ")
    return np.ascontiguousarray(np.clip(made, -1.0, 1.0), dtype=np.float32)


def is_silent(wav: Wave, floor_db: float = -80.0) -> bool:
    """Whether no sample rises above `floor_db` dB of full scale."""
    return bool(np.abs(wav).max(initial=0.0) <= 10.0 ** (floor_db / 20.0))


def _kind(path: Path) -> str:
    kind = path.suffix.lower().lstrip(".").upper()
    if kind not in ("FLAC", "WAV"):
        raise AudioError(f"{path}: sound is written as .flac or .wav, not '{path.suffix}'")
    return kind


def _pcm(wav: Wave) -> NDArray[np.int16]:
    pcm: NDArray[np.int16] = np.round(np.clip(wav, -1.0, 1.0) * 32767.0).astype(np.int16)
    return pcm


def _opened(path: Path) -> soundfile.SoundFile:
    if not path.exists():
        raise AudioError(f"{path}: no such file")
    if not path.is_file():
        raise AudioError(f"{path}: not a file")
    try:
        return soundfile.SoundFile(path)
    except (soundfile.SoundFileError, RuntimeError, OSError, TypeError) as error:
        raise AudioError(f"{path}: not sound that can be read: {_reason(error)}") from error


def _seek(path: Path, file: soundfile.SoundFile, first: int) -> None:
    try:
        file.seek(first)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError(f"{path}: broken, it cannot be decoded: {_reason(error)}") from error


def _read(path: Path, file: soundfile.SoundFile, count: int, channel: int | None) -> Wave:
    """The next samples, one channel or the mean of all, at the file's own rate."""
    try:
        wav = file.read(count, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError) as error:
        raise AudioError(f"{path}: broken, it cannot be decoded: {_reason(error)}") from error
    if channel is not None and not 0 <= channel < file.channels:
        raise AudioError(f"{path}: there is no channel {channel}, it has {file.channels}")
    mono: Wave = wav.mean(axis=1) if channel is None else wav[:, channel]
    if len(mono):
        _check_scale(path, mono)
    return mono


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", "") or str(error) or type(error).__name__
    return text.strip().rstrip(".")


def _sample_range(
    path: Path, file: soundfile.SoundFile, start: float, duration: float | None
) -> tuple[int, int]:
    """First sample and number of samples of a range in seconds, within the file."""
    rate, frames = int(file.samplerate), int(file.frames)
    if frames == 0:
        raise AudioError(f"{path}: zero length, there is no sample in it")
    if start < 0 or (duration is not None and duration <= 0):
        raise AudioError(f"{path}: not a range: start {start} s, duration {duration} s")
    first = round(start * rate)
    last = frames if duration is None else round((start + duration) * rate)
    if first >= frames or last > frames + RANGE_SLACK_S * rate:
        raise AudioError(
            f"{path}: the range {start:.3f} to {last / rate:.3f} s lies beyond its end at "
            f"{frames / rate:.3f} s"
        )
    return first, max(1, min(last, frames) - first)


def _check_scale(path: Path, wav: Wave) -> None:
    if not np.isfinite(wav).all():
        bad = int((~np.isfinite(wav)).sum())
        raise AudioError(f"{path}: {bad} of {len(wav)} samples are NaN or infinite")
    peak = float(np.abs(wav).max())
    if peak > LOUDEST:
        raise AudioError(
            f"{path}: samples reach {peak:.6g}, full scale is 1.0: divide them (integers of 16 "
            f"bits by 32768) before writing them as floats"
        )
