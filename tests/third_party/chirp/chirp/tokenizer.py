"""The tokenizer `pitch`."""

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from chirp.plugin import PitchOptions
from slmkit.api import AudioError, Codes, CodeSpec, Tokenizer

LOWEST_HZ = 400.0
OCTAVES = 1.5


class Pitch(Tokenizer):
    """Unit 0 is silence, the others are pitches; what counts as silence is fitted."""

    def __init__(self, options: PitchOptions) -> None:
        self.options = options
        self.spec = CodeSpec(16000, options.hop_length, (options.units,))
        self.silence = 0.0

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take a hundredth of the loudest frame's energy as the bound of silence."""
        loudest = 0.0
        for wav, _ in batches:
            loudest = max(loudest, float(self._frames(wav).square().mean(-1).max()))
        self.silence = loudest / 100

    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        hop = self.spec.hop_length
        if int(lengths.min()) < hop:
            raise AudioError(f"sound of {int(lengths.min())} samples is shorter than a frame")
        frames = self._frames(wav)
        strongest = torch.fft.rfft(frames).abs()[..., 1:].argmax(-1) + 1
        octave = torch.log2(strongest * self.spec.sample_rate / hop / LOWEST_HZ) / OCTAVES
        unit = 1 + (octave * (self.options.units - 1)).long().clamp(0, self.options.units - 2)
        unit[frames.square().mean(-1) <= self.silence] = 0
        return Codes.pad(
            [row[None, : int(n) // hop] for row, n in zip(unit, lengths, strict=True)], self.spec
        )

    def _frames(self, wav: Tensor) -> Tensor:
        hop = self.spec.hop_length
        return wav[:, : wav.shape[1] // hop * hop].reshape(len(wav), -1, hop)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pitch.json").write_text(json.dumps({"silence": self.silence}))

    def restore(self, folder: Path) -> None:
        self.silence = json.loads((folder / "pitch.json").read_text())["silence"]
