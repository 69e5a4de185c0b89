"""`Sound`: a wave that shows itself in a notebook, to be played."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from slmkit.api import AudioError

if TYPE_CHECKING:
    from slmkit.data.audio import Wave

STRETCHES = 320
"""Into which a wave is divided for its outline."""


@dataclass(frozen=True, eq=False)
class Sound:
    """One wave, to hear it.

    Attributes:
        wav: [n] or [1, n] in -1..1, of numpy or torch.
        sample_rate: Hz.
        label: what stands above the player.
    """

    wav: Any
    sample_rate: int
    label: str = ""

    def __post_init__(self) -> None:
        samples = np.asarray(self.wav, dtype=np.float32)
        if samples.size == 0 or samples.size != samples.shape[-1]:
            raise AudioError(f"a sound is one wave [samples], not {samples.shape}: choose a row")
        object.__setattr__(self, "wav", samples.reshape(-1))

    @classmethod
    def read(cls, path: Path | str, sample_rate: int = 16000) -> Sound:
        """A file at a sample rate, named after itself. Raises AudioError."""
        from slmkit.data.audio import read_audio

        return cls(read_audio(path, sample_rate), sample_rate, Path(path).name)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.wav) / self.sample_rate

    @cached_property
    def address(self) -> str:
        """Ogg Vorbis as a data URI, about 10 kB for two seconds at 16 kHz."""
        import soundfile

        from slmkit.drawing.png import data_uri

        data = io.BytesIO()
        soundfile.write(data, self.wav, self.sample_rate, format="OGG", subtype="VORBIS")
        return data_uri(data.getvalue(), "audio/ogg")

    def _repr_html_(self) -> str:
        from slmkit.drawing.sounds import outline, player
        from slmkit.drawing.style import framed, note

        about = f"{self.seconds:.2f} s at {self.sample_rate} Hz"
        title = f"{self.label}: {about}" if self.label else about
        drawn = outline(_extremes(self.wav), title)
        return framed(note(title), drawn, player(self.address, title))

    def __repr__(self) -> str:
        return f"Sound({self.label!r}, {self.seconds:.2f} s at {self.sample_rate} Hz)"


def _extremes(wav: Wave) -> list[tuple[float, float]]:
    """The lowest and highest sample of each stretch."""
    parts = np.array_split(wav, min(STRETCHES, len(wav)))
    return [(float(part.min()), float(part.max())) for part in parts]
