"""Takes: what a voice is to say and how, and the FLAC files in which it is kept.

A take's file name says all that decides its samples, and its alignment travels in the file's
comment tag. So a file is whole or not there, is found again under any options, and the same words
said in the same way are kept once.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from slmkit.api import DataError, Interval
from slmkit_spoken_qa.espeak import Espeak, Spoken

SAMPLE_RATE = 16000
LEAD_IN, LEAD_OUT = 0.06, 0.10
"""Seconds of silence before and after."""
THREADS = 2
BATCH = 64


class Take(NamedTuple):
    """Words (or single letters) said by a voice at a rate (words a minute) and pitch (0..99)."""

    text: str
    voice: str
    rate: int
    pitch: int

    @property
    def file(self) -> Path:
        """Where it is kept, relative to the corpus's folder."""
        name = f"{self.text.replace(' ', '-')}.r{self.rate}.p{self.pitch}.flac"
        return Path("audio", re.sub(r"[^\w+-]", "-", self.voice), name)


@dataclass(frozen=True)
class Recording:
    """A take that is on disk: its length in seconds, and what lies where in it."""

    path: Path
    duration: float
    words: tuple[Interval, ...]
    phones: tuple[Interval, ...]


def record(takes: Iterable[Take], folder: Path) -> Iterator[Recording]:
    """Speak what is not on disk yet; the recordings in the order of the takes.

    Threads suffice: espeak-ng, the resampler and the FLAC encoder all run outside Python's lock.
    """
    own = threading.local()

    def one(take: Take) -> Recording:
        path = folder / take.file
        kept = _read(path)
        if kept is not None:
            return kept
        if not hasattr(own, "espeak"):
            own.espeak = Espeak()
        spoken = own.espeak.speak(spell_out(take.text), take.voice, take.rate, take.pitch)
        return _write(path, spoken, take.text.split())

    takes = iter(takes)
    with ThreadPoolExecutor(THREADS) as pool:
        while batch := list(islice(takes, BATCH)):
            yield from pool.map(one, batch)


def spell_out(text: str) -> str:
    """The text as espeak-ng is to read it: single letters by their names, one by one.

    Between letters stand commas, lest they run into each other; "a" alone is the article to
    espeak-ng, so the letter is written as it sounds.
    """
    words = text.split()
    spelt = ["eigh" if word == "a" else word for word in words]
    for i in range(len(words) - 1):
        if len(words[i]) == len(words[i + 1]) == 1:
            spelt[i] += ","
    return " ".join(spelt)


def _write(path: Path, spoken: Spoken, labels: list[str]) -> Recording:
    wave = soxr.resample(spoken.samples / np.float32(2**15), spoken.sample_rate, SAMPLE_RATE)
    silence = [np.zeros(round(s * SAMPLE_RATE), np.float32) for s in (LEAD_IN, LEAD_OUT)]
    wave = np.concatenate([silence[0], wave, silence[1]])
    times = {
        "words": [
            (label, round(w.start + LEAD_IN, 4), round(w.end + LEAD_IN, 4))
            for label, w in zip(labels, spoken.words, strict=True)
        ],
        "phones": [
            (p.label, round(p.start + LEAD_IN, 4), round(p.end + LEAD_IN, 4)) for p in spoken.phones
        ],
    }
    encoded = BytesIO()
    with soundfile.SoundFile(encoded, "w", SAMPLE_RATE, 1, "PCM_16", format="FLAC") as file:
        file.comment = json.dumps(times, ensure_ascii=False)
        file.write(wave)
    _save(path, encoded.getvalue())
    return _recording(path, len(wave), times)


def _save(path: Path, content: bytes) -> None:
    """All of it or nothing: what is written under another name first is renamed when whole."""
    draft = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content)
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise DataError(
            f"{path}: cannot be written ({error.strerror}); make room there, or name another folder"
        ) from error


def _read(path: Path) -> Recording | None:
    """The recording, or None where there is none that can be used."""
    try:
        with soundfile.SoundFile(path) as file:
            return _recording(path, file.frames, json.loads(file.comment))
    except (soundfile.LibsndfileError, ValueError):
        return None


def _recording(
    path: Path, frames: int, times: dict[str, list[tuple[str, float, float]]]
) -> Recording:
    words, phones = (tuple(Interval(*row) for row in times[key]) for key in ("words", "phones"))
    return Recording(path, frames / SAMPLE_RATE, words, phones)
