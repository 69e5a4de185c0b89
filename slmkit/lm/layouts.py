"""How the codes of an utterance lie on streams and steps: pure functions on integer arrays.

Each takes codes [k, t] and gives an array [s, l] in which `NOTHING` stands where a stream has no
token; each has an inverse. Letters: k (codebook), t (frame), s (stream), l (step).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slmkit.api import MisfitError

NOTHING = -1
"""In a grid: this stream has no token at this step."""


def flatten(codes: np.ndarray) -> np.ndarray:
    """[k, t] -> [1, t * k]: frame by frame, the coarse codebook first (AudioLM's fine stage)."""
    return codes.T.reshape(1, -1)


def unflatten(laid: np.ndarray, codebooks: int) -> np.ndarray:
    """The inverse of `flatten`; a last frame that is not whole is left out."""
    frames = laid.shape[1] // codebooks
    return laid[0, : frames * codebooks].reshape(frames, codebooks).T


def coarse_first(codes: np.ndarray) -> np.ndarray:
    """[k, t] -> [1, k * t]: all of the first codebook, then all of the second (AudioLM, Borsos et
    al. 2022)."""
    return codes.reshape(1, -1)


def uncoarse(laid: np.ndarray, codebooks: int) -> np.ndarray:
    """The inverse of `coarse_first`. Raises MisfitError for codebooks of unequal length."""
    if laid.shape[1] % codebooks:
        raise MisfitError(f"{laid.shape[1]} codes are no {codebooks} codebooks of equal length")
    return laid.reshape(codebooks, -1)


def delayed(codes: np.ndarray, delays: Sequence[int]) -> np.ndarray:
    """[k, t] -> [k, t + max(delays)]: codebook k of frame t lies at step t + delays[k].

    Delays 0, 1, 2, .. are MusicGen's pattern (Copet et al. 2023), 0, 1, 1, .. Moshi's (Defossez et
    al. 2024), and all 0 is parallel prediction.
    """
    check_delays(delays, codes.shape[0])
    frames = codes.shape[1]
    laid = np.full((codes.shape[0], frames + max(delays)), NOTHING, dtype=np.int64)
    for stream, delay in enumerate(delays):
        laid[stream, delay : delay + frames] = codes[stream]
    return laid


def undelayed(laid: np.ndarray, delays: Sequence[int]) -> np.ndarray:
    """The inverse of `delayed`; frames that lack a codebook yet are left out."""
    check_delays(delays, laid.shape[0])
    frames = max(0, laid.shape[1] - max(delays))
    return np.stack([row[delay : delay + frames] for row, delay in zip(laid, delays, strict=True)])


def check_delays(delays: Sequence[int], codebooks: int) -> None:
    """Raise MisfitError where delays do not serve so many codebooks."""
    if len(delays) != codebooks:
        raise MisfitError(f"{len(delays)} delays for {codebooks} codebooks: give one for each")
    if min(delays) < 0 or delays[0] != 0:
        raise MisfitError(f"delays {list(delays)}: the first is 0 and none is negative")
