"""Whether units stay the same when what changes is not said: noise, tempo, pitch, room.

The unit edit distance of Gat et al. (2023): edits between the deduplicated units of the changed
sound and those of the clean one. Letters: k (codebook), t (frame), f (frequency), n (sample).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import soxr  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray

from slmkit.api import AudioError, Codes, DataError, Utterance
from slmkit.benchmark.figures import Measure, Tally
from slmkit.benchmark.protocol import Invariance
from slmkit.data.audio import Wave, read_utterance
from slmkit.data.content import hash_json
from slmkit.host import build
from slmkit.training.wave_augment import with_echo, with_noise

CHANGES = ("noise", "stretch", "pitch", "reverberation")
NAMES = tuple(f"edit-distance-{change}" for change in CHANGES)
WINDOW_S = 0.032
"""Of the phase vocoder; it moves on by a quarter of it."""

ECHO_DB = -6.0
"""Level of the echo beside the direct sound."""


def changed(wav: Wave, change: str, settings: Invariance, sample_rate: int, seed: int) -> Wave:
    """A wave [n] made otherwise, the same for the same seed."""
    rng = np.random.default_rng(seed)
    if change == "noise":
        return with_noise(wav, rng.standard_normal(len(wav)), 0.0, settings.noise_db)
    if change == "reverberation":
        count = int(settings.reverberation_s * sample_rate)
        return with_echo(wav, rng.standard_normal(count), ECHO_DB)
    if change == "stretch":
        return stretched(wav, settings.stretch, sample_rate)
    return shifted(wav, settings.pitch, sample_rate)


def stretched(wav: Wave, factor: float, sample_rate: int) -> Wave:
    """A wave that lasts so many times as long at the same pitch, [n * factor].

    A phase vocoder (Flanagan and Golden 1966): frames are read at another pace than they are laid
    down, and each partial goes on where the last frame left it, the bins around its peak in step
    with it (identity phase locking, Laroche and Dolson 1999).
    """
    window = 4 * max(1, round(WINDOW_S * sample_rate / 4))
    hop, shape = window // 4, np.hanning(window + 1)[:-1]
    padded = np.pad(wav.astype(np.float64), window)
    length = round(len(wav) * factor)
    frames = (length + 2 * window) // hop
    expected = 2 * np.pi * hop * np.arange(window // 2 + 1) / window
    out, weight = np.zeros((2, frames * hop + window))
    phase: NDArray[np.float64] | None = None
    for frame in range(frames):
        # a frame of the output is centred where one of the input is, so many times earlier
        centre = (frame * hop - window / 2) / factor + window
        at = round(centre - window / 2)
        if at - hop < 0 or at + window > len(padded):
            continue
        now, before = (np.fft.rfft(shape * padded[at - b : at - b + window]) for b in (0, hop))
        if phase is None:
            phase = np.angle(now)
        else:
            turned = np.angle(now) - np.angle(before) - expected
            walked = phase + expected + turned - 2 * np.pi * np.round(turned / (2 * np.pi))
            own = nearest_peaks(np.abs(now))
            phase = walked[own] + np.angle(now) - np.angle(now)[own]
        piece = np.fft.irfft(np.abs(now) * np.exp(1j * phase), window)
        out[frame * hop : frame * hop + window] += shape * piece
        weight[frame * hop : frame * hop + window] += shape**2
    made = out[window : window + length] / np.maximum(weight[window : window + length], 1e-3)
    return np.clip(made, -1, 1).astype(np.float32)


def nearest_peaks(heights: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of the peak that each bin [f] belongs to: higher than two bins to either side."""
    padded = np.pad(heights, 2)
    around = [padded[shift : shift + len(heights)] for shift in (0, 1, 3, 4)]
    peaks = np.flatnonzero((heights > around[0]) & (heights > around[1])
                           & (heights >= around[2]) & (heights >= around[3]))  # fmt: skip
    if not len(peaks):
        return np.arange(len(heights))
    middles = (peaks[1:] + peaks[:-1] + 1) // 2
    found: NDArray[np.int64] = peaks[np.searchsorted(middles, np.arange(len(heights)), "right")]
    return found


def shifted(wav: Wave, semitones: float, sample_rate: int) -> Wave:
    """A wave [n] so many semitones higher, and as long: stretched, then read faster."""
    ratio = 2.0 ** (semitones / 12)
    longer = stretched(wav, ratio, sample_rate)
    made = soxr.resample(longer, ratio, 1.0, quality="HQ")
    return np.pad(made[: len(wav)], (0, max(0, len(wav) - len(made)))).astype(np.float32)


@torch.inference_mode()  # type: ignore[untyped-decorator]
def measure_invariance(
    tokenizer: Any,
    utterances: Sequence[Utterance],
    selections: Mapping[str, Sequence[int]],
    settings: Invariance,
) -> dict[str, Any]:
    """Edits of every change and selection; of several codebooks those of each, added up."""
    tally, metric = Tally(), build("metric", "unit-edit-distance")
    measure = Measure(metric.unit, metric.direction, metric.scale)
    rate = tokenizer.spec.sample_rate
    for utterance in utterances[: settings.items]:
        wav = read_utterance(utterance, rate)
        clean = _encoded(tokenizer, wav)
        for change in CHANGES:
            seed = int(hash_json([utterance.id, change])[:8], 16)
            name = f"edit-distance-{change}"
            try:
                given = _encoded(tokenizer, changed(wav, change, settings, rate, seed))
                edits = {
                    book: metric.score(_book(given, book), _book(clean, book))
                    for book in sorted({b for books in selections.values() for b in books})
                }
            except (AudioError, DataError) as error:
                for selection in selections:
                    tally.lose(f"{name}/{selection}", utterance.id, str(error))
                continue
            for selection, books in selections.items():
                pairs = [edits[book] for book in books]
                pair = sum(top for top, _ in pairs), sum(bottom for _, bottom in pairs)
                tally.add(f"{name}/{selection}", measure, utterance.id, pair)
    return tally.to_dict()


def _encoded(tokenizer: Any, wav: Wave) -> Codes:
    codes: Codes = tokenizer.encode(torch.from_numpy(wav)[None], torch.tensor([len(wav)]))
    return codes.to("cpu")


def _book(codes: Codes, book: int) -> Codes:
    """One codebook alone."""
    if codes.spec.codebooks == 1:
        return codes
    spec = replace(codes.spec, codebook_sizes=(codes.spec.codebook_sizes[book],))
    return Codes(codes.values[:, book : book + 1], codes.lengths, spec)
