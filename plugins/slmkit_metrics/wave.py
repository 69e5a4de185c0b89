"""Metrics of a wave against the wave that it should be. Letters: n (sample), t (frame)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from slmkit.api import DataError, Metric
from slmkit.codecs.losses import SpectralLoss
from slmkit.codecs.mel import LogMel

Wave = NDArray[np.float32]
LENGTHS_MAY_DIFFER = 0.25
"""Waves whose lengths differ by more, in seconds, are not two copies of one utterance."""
STFT_WINDOWS = (2048, 1024, 512)
"""Of `stft-distance`, samples; each moves on by a quarter of itself."""
DEEPEST_DB = 100.0
"""Where `si-sdr` ends: samples of 16 bits hold 98 dB, and an exact copy would be endless."""
PESQ_RATE = 16000
"""The one rate of wide-band PESQ, Hz."""


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


class StftDistance(Metric):
    """Spectral convergence plus mean L1 of log magnitudes (nats), averaged over three windows.

    The loss of Yamamoto et al. 2020 (Parallel WaveGAN) at its sizes of transforms. Convergence is
    ||S - C|| / ||S|| in Frobenius norms, S the reference's magnitudes and C the copy's.
    """

    unit, scale, direction, takes = "", 1.0, "lower", "wav"

    def score(self, given: Wave, reference: Wave, sample_rate: int = 16000) -> tuple[float, float]:
        given, reference = aligned(given, reference, sample_rate)
        if len(given) <= STFT_WINDOWS[0] // 2:
            raise DataError(
                f"stft-distance cannot be measured: {len(given)} samples are less than half a "
                f"window of {STFT_WINDOWS[0]}"
            )
        ours, theirs = torch.from_numpy(given)[None], torch.from_numpy(reference)[None]
        _, stft = SpectralLoss(sample_rate, STFT_WINDOWS)(ours, theirs)
        return float(stft), 1.0


class SiSdr(Metric):
    """Scale-invariant signal-to-distortion ratio, dB, between -100 and 100 (Le Roux et al. 2019).

    The copy, its mean taken off, is parted into what is the reference but for its level and into
    what is not; the ratio is that of their energies. A codec that keeps no phase scores badly
    however good it sounds.
    """

    unit, scale, direction, takes = "dB", 1.0, "higher", "wav"

    def score(self, given: Wave, reference: Wave, sample_rate: int = 16000) -> tuple[float, float]:
        waves = aligned(given, reference, sample_rate)
        ours, theirs = (wav.astype(np.float64) - wav.mean(dtype=np.float64) for wav in waves)
        for wav, whose in ((ours, "copy"), (theirs, "reference")):
            if not wav.any():
                raise DataError(f"si-sdr cannot be measured: the {whose} is silent")
        target = (ours @ theirs) / (theirs @ theirs) * theirs
        kept, lost = target @ target, (ours - target) @ (ours - target)
        floor = 10 ** (-DEEPEST_DB / 10) * max(kept, lost)
        return float(10 * np.log10(max(kept, floor) / max(lost, floor))), 1.0


class Pesq(Metric):
    """Perceptual quality as a listener would score it, wide band (ITU-T P.862.2), 1 to 4.64.

    Both waves are at 16 kHz: resample what is not, and say so.
    """

    unit, scale, direction, takes = "", 1.0, "higher", "wav"

    def score(self, given: Wave, reference: Wave, sample_rate: int = 16000) -> tuple[float, float]:
        from pesq import PesqError, pesq

        if sample_rate != PESQ_RATE:
            raise DataError(
                f"pesq is measured at {PESQ_RATE} Hz, not at {sample_rate}: resample both waves"
            )
        given, reference = aligned(given, reference, sample_rate)
        for wav, whose in ((given, "copy"), (reference, "reference")):
            if not wav.any():
                raise DataError(f"pesq cannot be measured: the {whose} is silent")
        try:
            value = pesq(sample_rate, reference, given, "wb")
        except (PesqError, ValueError, ZeroDivisionError) as error:
            said = error.args[0] if error.args else type(error).__name__
            reason = said.decode() if isinstance(said, bytes) else str(said)
            raise DataError(f"pesq cannot be measured: {reason}") from None
        if not np.isfinite(value):
            raise DataError("pesq cannot be measured: it came out as no number")
        return float(value), 1.0
