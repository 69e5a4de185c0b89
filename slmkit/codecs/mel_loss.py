"""Losses between the mel spectra of waves at several windows, as published codecs are trained by.

Letters: b (batch), n (sample), t (frame), f (frequency bin), m (mel band).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slmkit.codecs.mel import mel_filters

FLOOR = 1e-5


@dataclass(frozen=True)
class MelTerm:
    """What one window adds to the loss.

    Attributes:
        window: samples of it, and of the transform.
        hop: samples between two.
        mels: bands.
        linear: weight of the mean absolute difference of mel magnitudes.
        log: weight of that of their logarithms.
        square: weight of the mean squared difference of their logarithms.
    """

    window: int
    hop: int
    mels: int
    linear: float = 0.0
    log: float = 0.0
    square: float = 0.0


SPEECHTOKENIZER = (
    MelTerm(1024, 240, 80, log=45.0),
    MelTerm(512, 120, 80, log=1.0),
    MelTerm(256, 60, 80, log=1.0),
    MelTerm(128, 30, 80, log=1.0),
)
"""As SpeechTokenizer's code has it (Zhang et al. 2023): one window carries nearly all."""

ENCODEC = tuple(
    MelTerm(2**i, 2**i // 4, 64, linear=1 / 6, square=(2**i - 1) ** 0.5 / 6) for i in range(6, 12)
)
"""EnCodec's L1 of magnitudes and L2 of logarithms (Defossez et al. 2022), with audiocraft's weights
of the windows."""

SMALL = (
    MelTerm(1024, 256, 80, linear=0.0, log=1.0),
    MelTerm(512, 128, 64, log=1.0),
    MelTerm(128, 32, 20, log=1.0),
)
"""Three windows of equal weight: half the time of the published ones on a processor."""

MELS: Mapping[str, Sequence[MelTerm]] = {
    "speechtokenizer": SPEECHTOKENIZER,
    "encodec": ENCODEC,
    "small": SMALL,
}
"""By name."""


class MultiScaleMel(nn.Module):
    """The weighted sum of the terms; HTK's mel scale, bands of unit area, frames of whole windows.

    A wave is reflected by (window - hop) / 2 samples at both ends, so that a frame stands in the
    middle of its hop.
    """

    def __init__(self, sample_rate: int, terms: Sequence[MelTerm]) -> None:
        super().__init__()
        self.terms = tuple(terms)
        for index, term in enumerate(self.terms):
            window = torch.hann_window(term.window)
            filters = mel_filters(sample_rate, term.window, term.mels, htk=True)
            self.register_buffer(f"window_{index}", window, persistent=False)
            self.register_buffer(f"filters_{index}", filters.T.contiguous(), persistent=False)

    def forward(self, made: Tensor, true: Tensor) -> Tensor:
        """The loss of waves [b, n] against the true ones."""
        total = made.new_zeros(())
        for index, term in enumerate(self.terms):
            ours, theirs = self._mel(made, index), self._mel(true, index)
            if term.linear:
                total = total + term.linear * (ours - theirs).abs().mean()
            apart = ours.clamp(min=FLOOR).log() - theirs.clamp(min=FLOOR).log()
            if term.log:
                total = total + term.log * apart.abs().mean()
            if term.square:
                total = total + term.square * apart.square().mean()
        return total

    def _mel(self, wav: Tensor, index: int) -> Tensor:
        """Mel magnitudes [b, t, m] of waves [b, n]."""
        term, window = self.terms[index], getattr(self, f"window_{index}")
        beside = (term.window - term.hop) // 2
        wav = F.pad(wav[:, None], (beside, beside), mode="reflect")[:, 0]
        spectrum = torch.fft.rfft(wav.unfold(1, term.window, term.hop) * window)
        # a root has no slope at zero, and silence is there
        power = spectrum.real.square() + spectrum.imag.square()
        found: Tensor = (power + 1e-9).sqrt() @ getattr(self, f"filters_{index}")
        return found
