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

from slmkit.api import AudioError, Codes, CodeSpec, DataError, MisfitError
from slmkit.codecs.published import load_checked, read_state
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
    rows = []
    for row, length in zip(wav, lengths.tolist(), strict=True):
        if length == 0:
            raise AudioError("an utterance of no samples has no codes")
        if not torch.isfinite(row[:length]).all():
            raise AudioError("the wave holds samples that are not finite numbers")
        rows.append(encode(row[:length]))
    return Codes.pad(rows, spec)


@torch.inference_mode()
def decode_rows(
    decode: Callable[[Tensor], Tensor], codes: Codes, spec: CodeSpec, part: str
) -> tuple[Tensor, Tensor]:
    """(wav [b, n], lengths [b]), where `decode` gives [n] of the codes [k, t] of one row.

    Raises MisfitError for codes of another specification, DataError for codes out of range.
    """
    if codes.spec != spec:
        raise MisfitError(
            f"{part}: codes of {codes.spec} are not this part's; it decodes those of {spec}"
        )
    sizes = torch.tensor(spec.codebook_sizes, device=codes.values.device)[None, :, None]
    if bool(((codes.values < 0) | (codes.values >= sizes)).any()):
        raise DataError(f"{part}: there are codes out of range, 0 to {int(sizes.max()) - 1}")
    rows = [decode(codes.row(index).values[0]) for index in range(len(codes))]
    wav = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return wav, torch.tensor([len(row) for row in rows], dtype=torch.int64)
