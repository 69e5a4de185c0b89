"""The corpus `chirps`."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile

from chirp.plugin import ChirpsOptions
from slmkit.api import Corpus, Progress, Utterance

RATE = 16000
SECONDS = 0.2
NOTES = {"do": 523.3, "re": 587.3, "mi": 659.3, "fa": 698.5, "sol": 784.0, "la": 880.0, "si": 987.8}


class Chirps(Corpus):
    """Random notes, a pure tone each; the last song of every four is held out."""

    def __init__(self, options: ChirpsOptions) -> None:
        self.options = options

    def utterances(self, folder: Path, progress: Progress) -> Iterator[Utterance]:
        folder.mkdir(parents=True, exist_ok=True)
        choice = random.Random(self.options.seed)
        for number in range(self.options.songs):
            notes = choice.choices(list(NOTES), k=self.options.notes)
            file = folder / f"song-{number:04}.flac"
            if not file.exists():
                half_written = file.with_suffix(".tmp")
                soundfile.write(half_written, _whistle(notes), RATE, format="FLAC")
                half_written.replace(file)
            progress(number + 1, self.options.songs)
            yield Utterance(
                id=file.stem,
                audio=file,
                text=" ".join(notes),
                split="test" if number % 4 == 3 else "train",
                duration=len(notes) * SECONDS,
            )


def _whistle(notes: list[str]) -> np.ndarray:
    times = np.arange(int(SECONDS * RATE)) / RATE
    return np.concatenate([0.5 * np.sin(2 * np.pi * NOTES[note] * times) for note in notes])
