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
    """

    prompt_frames: int
    stop: str

    def question(self, text: str, voice: np.ndarray | None) -> list[Segment]:
        """A text, and codes [k, t] of the voice in which it is to be said, of which the first
        `prompt_frames` are taken."""
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
