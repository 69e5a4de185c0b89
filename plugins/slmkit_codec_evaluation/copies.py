"""Utterances coded and decoded again. Letters: k (codebook), t (frame), n (sample)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch

from slmkit.api import Codes, Tokenizer, Utterance
from slmkit.data.audio import read_utterance


@dataclass(frozen=True, eq=False)
class Copy:
    """An utterance and what is heard of its codes, both at the rate at which the tokenizer speaks.

    Attributes:
        original, wav: float32 [n]; the copy may be a few samples longer or shorter.
        rate: of both, Hz.
        encode_s, decode_s: seconds that the tokenizer worked.
    """

    utterance: Utterance
    original: np.ndarray
    wav: np.ndarray
    rate: int
    encode_s: float
    decode_s: float

    @property
    def seconds(self) -> float:
        """How long the original is."""
        return len(self.original) / self.rate


def speaking_rate(tokenizer: Tokenizer) -> int:
    """Of the waves that it decodes, Hz."""
    return tokenizer.spec.output_sample_rate or tokenizer.spec.sample_rate


@torch.inference_mode()  # type: ignore[untyped-decorator]
def encoded(utterance: Utterance, tokenizer: Tokenizer) -> tuple[Codes, float]:
    """The codes [1, k, t] of an utterance, and the seconds that it took. Raises AudioError."""
    wav = torch.from_numpy(read_utterance(utterance, tokenizer.spec.sample_rate))[None]
    begun = perf_counter()
    codes = tokenizer.encode(wav, torch.tensor([wav.shape[1]]))
    return codes, perf_counter() - begun


@torch.inference_mode()  # type: ignore[untyped-decorator]
def decoded(
    codes: Codes, tokenizer: Tokenizer, books: Sequence[int] | None = None
) -> tuple[np.ndarray, float]:
    """The wave [n] of codes [1, k, t] and the seconds that it took; of some codebooks alone."""
    begun = perf_counter()
    frames = codes.expand()
    wav, lengths = (
        tokenizer.decode(frames) if books is None else tokenizer.decode_books(frames, books)
    )
    return wav[0, : int(lengths[0])].cpu().numpy(), perf_counter() - begun


def copied(utterance: Utterance, tokenizer: Tokenizer, books: Sequence[int]) -> Copy:
    """Code an utterance and decode some of the codebooks. Raises AudioError."""
    codes, encode_s = encoded(utterance, tokenizer)
    wav, decode_s = decoded(codes, tokenizer, books)
    rate = speaking_rate(tokenizer)
    return Copy(utterance, read_utterance(utterance, rate), wav, rate, encode_s, decode_s)
