"""The laws of vocoders. Letters: b (batch), t (frame), n (sample)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from slmkit.api import Codes, CodeSpec, Vocoder

TOLERANCE = 1e-4
"""Of samples: sums of floats may come out in another order in a batch."""


def vocoder_laws(make: Callable[[], Vocoder], spec: CodeSpec, folder: Path) -> None:
    """Hold a vocoder to its contract; `make` builds it ready to speak codes of `spec`, the same
    each time. Raises AssertionError, which says what is broken.
    """
    part = make()
    codes = _codes(spec)
    wav, lengths = part.synthesize(codes)
    hop = spec.output_hop_length or spec.hop_length
    assert lengths.tolist() == (codes.lengths * hop).tolist(), "a frame has its hop of samples"
    assert wav.shape == (len(codes), int(lengths.max())), "waves are [b, longest]"
    assert bool(torch.isfinite(wav).all()), "samples are finite numbers"
    assert float(wav.abs().max()) <= 1.0, "samples lie in -1..1"
    for row, length in enumerate(lengths.tolist()):
        assert not wav[row, length:].any(), "beyond a row's length lies silence"
        alone, count = part.synthesize(codes.row(row))
        assert int(count[0]) == length, f"row {row} alone has another length"
        apart = float((alone[0, :length] - wav[row, :length]).abs().max())
        assert apart <= TOLERANCE, f"row {row} alone differs from the batch by {apart:g}"
    if spec.codebooks == 1:
        _merged(part, codes)
    part.save(folder)
    restored = make()
    restored.restore(folder)
    assert torch.equal(restored.synthesize(codes)[0], wav), "saved and restored, it speaks the same"


def _merged(part: Vocoder, codes: Codes) -> None:
    """Merged units with their durations sound as the units did; without, they last a while."""
    merged = codes.deduplicate()
    whole, _ = part.synthesize(codes)
    again, _ = part.synthesize(merged)
    assert float((whole - again).abs().max()) <= TOLERANCE, "durations that are given are kept"
    _, lengths = part.synthesize(replace(merged, durations=None))
    assert bool((lengths > 0).all()), "durations that are not given are predicted"


def _codes(spec: CodeSpec) -> Codes:
    """Three utterances of different lengths; neighbours are often equal."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for frames in (9, 4, 14):
        books = [
            torch.randint(size, (frames // 2 + 1,), generator=generator).repeat_interleave(2)
            for size in spec.codebook_sizes
        ]
        rows.append(torch.stack([book[:frames] for book in books]))
    return Codes.pad(rows, replace(spec, deduplicated=False))
