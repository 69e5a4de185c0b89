"""What both parts do around their package: rows in and out one by one, weights in.

The packages have no lengths: in a batch, padding changes their answers, and products of matrices
round otherwise than alone. Letters: b (batch), k (codebook), t (frame), n (sample).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmkit.api import Codes, CodeSpec
from slmkit.codecs.codec import check_codes, padded_waves
from slmkit.codecs.published import load_checked, read_state
from slmkit.codecs.waves import check_waves
from slmkit.testing.tokenizers import sounds
from slmkit_reference_codecs.drawn import draw_codebooks


def made(make: Callable[[], Any], weights: str | None, sample_rate: int, part: str) -> Any:
    """A model of a package with the weights of a file, or with random ones, always the same.

    Stands in evaluation mode, where the codebooks stay as they are. Raises WeightsError.
    """
    with torch.random.fork_rng(), warnings.catch_warnings():
        torch.manual_seed(0)
        # the packages use torch's older weight norm
        warnings.simplefilter("ignore", FutureWarning)
        model = make().eval().requires_grad_(False)
    if weights is None:
        wavs, lengths = sounds(sample_rate, seed=1)
        draw_codebooks(model, [w[None, :n] for w, n in zip(wavs, lengths.tolist(), strict=True)])
    else:
        hint = f"is it the state that {part} was asked for, of the same configuration?"
        load_checked(model, read_state(Path(weights)), weights, hint)
    return model


@torch.inference_mode()
def encode_rows(
    encode: Callable[[Tensor], Tensor], wav: Tensor, lengths: Tensor, spec: CodeSpec
) -> Codes:
    """The codes of a batch, where `encode` gives [k, t] of one wave [n]. Raises AudioError."""
    check_waves(wav, lengths)
    ends = lengths.tolist()
    return Codes.pad([encode(row[:end]) for row, end in zip(wav, ends, strict=True)], spec)


@torch.inference_mode()
def decode_rows(
    decode: Callable[[Tensor], Tensor], codes: Codes, spec: CodeSpec, part: str
) -> tuple[Tensor, Tensor]:
    """(wav [b, n], lengths [b]), where `decode` gives [n] of the codes [k, t] of one row.

    Raises MisfitError for codes of another specification, or out of range.
    """
    check_codes(codes, spec, part)
    return padded_waves([decode(codes.row(index).values[0]) for index in range(len(codes))])
