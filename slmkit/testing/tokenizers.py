"""The laws of speech tokenizers. Letters: b (batch), k (codebook), t (frame), n (sample)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from slmkit.api import AudioError, Codes, MisfitError, Tokenizer

TOLERANCE = 1e-4
"""Of decoded samples: sums of floats may come out in another order in a batch."""


def tokenizer_laws(make: Callable[[], Tokenizer], folder: Path) -> None:
    """Hold a speech tokenizer to its contract; `make` builds it ready to encode, the same each
    time but for what it has learnt. Raises AssertionError, which says what is broken.
    """
    part = make()
    wav, lengths = sounds(part.spec.sample_rate)
    codes = part.encode(wav, lengths)
    _well_formed(part, codes, lengths)
    _keeps_its_rate(part)
    _is_what_it_declares(part)
    assert _same(part.encode(wav, lengths), codes), "the same sound gives the same codes"
    _ignores_the_batch(part, wav, lengths, codes)
    broken = wav.clone()
    broken[1, 5] = torch.nan
    assert _refuses(part, broken, lengths), "samples that are not finite must raise AudioError"
    none = lengths.clone()
    none[0] = 0
    assert _refuses(part, wav, none), "an utterance of no samples must raise AudioError"
    short = torch.zeros(1, 22), torch.tensor([22])
    assert _refuses(part, *short) or int(part.encode(*short).lengths[0]) >= 1, (
        "a sound that is too short for a frame must raise AudioError"
    )
    _decodes(part, codes)
    part.save(folder)
    restored = make()
    restored.restore(folder)
    assert _same(restored.encode(wav, lengths), codes), "saved and restored, it codes the same"


def _well_formed(part: Tokenizer, codes: Codes, lengths: Tensor) -> None:
    spec = part.spec
    assert codes.spec == spec, "codes carry the tokenizer's own specification"
    assert codes.values.dtype == torch.int64, "codes are int64"
    sizes = torch.tensor(spec.codebook_sizes)[None, :, None]
    assert bool(((codes.values >= 0) & (codes.values < sizes)).all()), "codes lie in their codebook"
    frames = lengths / spec.hop_length
    assert bool(((codes.lengths - frames).abs() <= 2).all()), (
        f"the declared rate is {spec.frame_rate:g} Hz; {lengths.tolist()} samples gave "
        f"{codes.lengths.tolist()} frames"
    )
    for row, length in enumerate(codes.lengths.tolist()):
        assert not codes.values[row, :, length:].any(), "beyond a row's length stand zeros"


def _keeps_its_rate(part: Tokenizer) -> None:
    """Four more seconds have four seconds' frames: a rate that is a little off shows."""
    rate = part.spec.sample_rate
    wav = torch.sin(torch.arange(5 * rate) / 20.0)[None] * 0.1
    short = int(part.encode(wav[:, :rate], torch.tensor([rate])).lengths[0])
    more = int(part.encode(wav, torch.tensor([5 * rate])).lengths[0]) - short
    assert abs(more - 4 * part.spec.frame_rate) <= 1, (
        f"the declared rate is {part.spec.frame_rate:g} Hz, the measured one {more / 4:g} Hz"
    )


def _is_what_it_declares(part: Tokenizer) -> None:
    """What its declaration says it can do is true of its codes, where it was built from one."""
    origin = getattr(part, "origin", None)
    if origin is None:
        return
    can, spec = origin.shelved.declaration.abilities(origin.options), part.spec
    for what, declared, found in (
        ("codebooks", can.codebooks, spec.codebooks),
        ("codebook size", {can.codebook_size}, {*spec.codebook_sizes}),
        ("sample rate", can.sample_rate, spec.sample_rate),
        ("frame rate", can.frame_rate, spec.frame_rate),
        ("decodes", can.decodes, type(part).decode is not Tokenizer.decode),
    ):
        assert declared in (None, {None}, found), f"declared {what}: {declared}, found: {found}"


def _decodes(part: Tokenizer, codes: Codes) -> None:
    """Codes become as much sound as they stand for, or are refused."""
    if type(part).decode is Tokenizer.decode:
        try:
            part.decode(codes)
        except MisfitError:
            return
        raise AssertionError("a tokenizer without a decoder must raise MisfitError")
    wav, lengths = part.decode(codes)
    hop = part.spec.output_hop_length or part.spec.hop_length
    assert bool(((lengths - codes.lengths * hop).abs() <= hop).all()), (
        f"{codes.lengths.tolist()} frames of {hop} samples became {lengths.tolist()} samples"
    )
    assert wav.shape == (len(codes), int(lengths.max())), "waves are [b, longest]"
    assert bool(torch.isfinite(wav).all()), "samples are finite numbers"
    for row, length in enumerate(lengths.tolist()):
        assert not wav[row, length:].any(), "beyond a row's length lies silence"
        alone, count = part.decode(codes.row(row))
        assert int(count[0]) == length, f"row {row} decoded alone has another length"
        apart = float((alone[0, :length] - wav[row, :length]).abs().max())
        assert apart <= TOLERANCE, f"row {row} decoded alone differs by {apart:g}"


def _ignores_the_batch(part: Tokenizer, wav: Tensor, lengths: Tensor, together: Codes) -> None:
    """A row's codes are the same alone, and whatever lies beyond its end."""
    beyond = torch.arange(wav.shape[1]) >= lengths[:, None]
    dirty = torch.where(beyond, 0.3 * torch.sin(torch.arange(wav.shape[1]) / 7.0), wav)
    dirty = torch.cat([dirty, torch.full((len(wav), 999), 0.5)], dim=1)
    assert _same(part.encode(dirty, lengths), together), "what lies in the padding must not count"
    for row, length in enumerate(lengths.tolist()):
        alone = part.encode(wav[row : row + 1, :length], lengths[row : row + 1])
        assert _same(alone, together.row(row)), f"row {row} alone differs from the batch"


def _same(a: Codes, b: Codes) -> bool:
    return bool(torch.equal(a.values, b.values) and torch.equal(a.lengths, b.lengths))


def _refuses(part: Tokenizer, wav: Tensor, lengths: Tensor) -> bool:
    try:
        part.encode(wav, lengths)
    except AudioError:
        return True
    return False


def sounds(sample_rate: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Three gliding tones in noise, of odd lengths, and silence: (wav [b, n], lengths [b])."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor(
        [sample_rate, sample_rate // 2 + 13, sample_rate * 3 // 4 - 1, sample_rate // 3]
    )
    time = torch.arange(int(lengths.max())) / sample_rate
    tones = torch.stack([torch.sin(2 * torch.pi * f * time * (1 + time)) for f in (180, 240, 310)])
    voiced = 0.1 * tones + 0.02 * torch.randn(tones.shape, generator=generator)
    wav = torch.cat([voiced, torch.zeros(1, voiced.shape[1])])
    return wav * (torch.arange(wav.shape[1]) < lengths[:, None]), lengths
