"""Small recordings and a stage's context for tests of codec training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from slmkit.api import Utterance

RATE = 16000
TINY: dict[str, Any] = {"filters": 4, "width": 12, "entries": 16, "lstm_layers": 0}


class Context:
    """A stage's context with nothing around it."""

    seed = 0

    def __init__(self, folder: Path, **trainer: Any) -> None:
        self.folder, self.trainer = folder, trainer

    @contextmanager
    def progress(self, text: str, total: int | None = None) -> Iterator[Any]:
        yield lambda *_, **__: None


def recordings(folder: Path) -> list[Utterance]:
    """Swelling tones of a second and more, by four voices; two of one."""
    found = []
    for number, speaker in enumerate("aabcd"):
        count = RATE + 2000 * number
        time = np.arange(count) / RATE
        wav = 0.3 * np.sin(2 * np.pi * (150 + 60 * number) * time) * np.sin(9 * time)
        wav += 0.01 * np.random.default_rng(number).standard_normal(count)
        path = folder / f"{number}.flac"
        soundfile.write(path, wav, RATE)
        found.append(Utterance(id=f"u{number}", audio=path, speaker=speaker))
    return found
