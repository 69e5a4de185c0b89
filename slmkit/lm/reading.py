"""How a model of text to speech is asked: what stands before the speech, and what ends it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from slmkit.api import DataError, Segment, Speech, Text

READING_FILE = "reading.json"


@dataclass(frozen=True)
class Reading:
    """Travels in the folder of a model, so that it is asked as it was taught.

    Attributes:
        prompt_frames: at most so many of a voice stand between text and speech; 0: none do.
        stop: the special token behind the speech.
        goes_on: the voice is the beginning of the speech and what it says that of the text, as
            VALL-E was published; else the voice is an utterance of its own, and its text untold.
        ends_at_best: see `slmkit.generation.sampling.Sampling`.
        frames_per_symbol: speech longer than so many for each symbol of its text is cut off; 0:
            none is.
    """

    prompt_frames: int
    stop: str
    goes_on: bool = False
    ends_at_best: bool = False
    frames_per_symbol: int = 0

    def question(self, text: str, voice: np.ndarray | None, said: str = "") -> list[Segment]:
        """A text, and codes [k, t] of the voice in which it is to be said, of which the first
        `prompt_frames` are taken; `said` is what it says, where the speech goes on from it."""
        if self.goes_on:
            begun = Speech(np.zeros((1, 0), dtype=np.int64) if voice is None else voice, ends=False)
            return [Text(f"{said} {text}".strip()), begun]
        asked: list[Segment] = [Text(text)]
        if voice is not None and self.prompt_frames:
            asked.append(Speech(voice[:, : self.prompt_frames]))
        return asked

    def save(self, folder: Path) -> None:
        """Write it beside a model."""
        (folder / READING_FILE).write_text(json.dumps(asdict(self)) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Reading:
        """The inverse of `save`. Raises DataError for a model that was not taught to read aloud."""
        try:
            return cls(**json.loads((folder / READING_FILE).read_text()))
        except (FileNotFoundError, TypeError, ValueError) as error:
            raise DataError(f"{folder}: no model that reads aloud ({error})") from None
