"""Metrics of a wave against the wave that it should be. Letters: n (sample), t (frame)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from slmkit.api import DataError, Metric
from slmkit.codecs.mel import LogMel

Wave = NDArray[np.float32]
LENGTHS_MAY_DIFFER = 0.25
"""Waves whose lengths differ by more, in seconds, are not two copies of one utterance."""


def aligned(given: Wave, reference: Wave, sample_rate: int) -> tuple[Wave, Wave]:
    """Both cut to the shorter. Raises DataError for empty, broken, or unlike waves."""
    if min(len(given), len(reference)) == 0:
        raise DataError("an empty wave cannot be compared")
    if abs(len(given) - len(reference)) > LENGTHS_MAY_DIFFER * sample_rate:
        raise DataError(
            f"waves of {len(given)} and {len(reference)} samples are no copies of each other: "
            f"speak with the true durations to compare them frame by frame"
        )
    length = min(len(given), len(reference))
    given, reference = given[:length], reference[:length]
    if not (np.isfinite(given).all() and np.isfinite(reference).all()):
        raise DataError("a wave with samples that are not finite numbers cannot be compared")
    return given, reference


class MelDistance(Metric):
    """Mean absolute difference of log-mel spectra (80 bands, 1024 / 256 samples), nats."""

    unit, scale, direction, takes = "nats", 1.0, "lower", "wav"

    def score(self, given: Wave, reference: Wave, sample_rate: int = 16000) -> tuple[float, float]:
        mel = LogMel(sample_rate, n_fft=1024, hop_length=256, n_mels=80)
        ours, theirs = (
            mel(torch.from_numpy(wav)[None]) for wav in aligned(given, reference, sample_rate)
        )
        return float((ours - theirs).abs().mean()), 1.0


class Stoi(Metric):
    """Short-time objective intelligibility of `given` against the clean reference."""

    unit, scale, direction, takes = "", 1.0, "higher", "wav"

    def score(self, given: Wave, reference: Wave, sample_rate: int = 16000) -> tuple[float, float]:
        import warnings

        from pystoi import stoi

        given, reference = aligned(given, reference, sample_rate)
        if not reference.any():
            raise DataError("stoi cannot be measured: the reference is silent")
        with warnings.catch_warnings():
            # pystoi warns and gives 1e-5 where too little speech is left: that is no score
            warnings.simplefilter("error", RuntimeWarning)
            try:
                value = stoi(reference, given, sample_rate)
            except RuntimeWarning as error:
                raise DataError(f"stoi cannot be measured: {str(error).splitlines()[0]}") from None
        return float(value), 1.0
