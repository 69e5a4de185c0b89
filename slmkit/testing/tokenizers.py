"""The laws of speech tokenizers. Letters: b (batch), k (codebook), t (frame), n (sample)."""

from __future__ import annotations

import copy
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from slmkit.api import AudioError, Codes, MisfitError, SlmkitError, Tokenizer
from slmkit.testing.streaming import long_laws, streaming_laws
from slmkit.testing.tally import Tally
from slmkit.testing.teachers import teacher_laws
from slmkit.testing.training import device_laws, gradient_laws

TOLERANCE = 1e-4
"""Of decoded samples: sums of floats may come out in another order in a batch."""

BATCHES = 3
"""Random batches in which each row must keep its codes."""


def check_tokenizer(
    tokenizer: Tokenizer | Callable[[], Tokenizer], folder: Path | None = None
) -> Tally:
    """Hold a speech tokenizer, or what a function builds, to every law; gives what was found.

        print(check_tokenizer(lambda: MyTokenizer(MyOptions())))

    A tokenizer as it stands is taken as trained, and copied where the laws need a second one. It is
    saved in `folder`, or in one that is gone afterwards. Raises AssertionError, which says what is
    broken.
    """
    if isinstance(tokenizer, Tokenizer):
        one = tokenizer
        return check_tokenizer(lambda: copy.deepcopy(one), folder)
    if folder is not None:
        return tokenizer_laws(tokenizer, folder)
    with tempfile.TemporaryDirectory() as passing:
        return tokenizer_laws(tokenizer, Path(passing) / "saved")


def tokenizer_laws(make: Callable[[], Tokenizer], folder: Path) -> Tally:
    """Hold a speech tokenizer to its contract; `make` builds it ready to encode, the same each
    time but for what it has learnt. Raises AssertionError, which says what is broken.
    """
    part, tally = make(), Tally()
    wav, lengths = sounds(part.spec.sample_rate)
    codes = part.encode(wav, lengths)
    _well_formed(part, codes, lengths)
    _keeps_its_rate(part)
    _is_what_it_declares(part)
    again = part.encode(wav, lengths)
    assert _same(again, codes), "the same sound gives the same codes"
    _ignores_the_batch(part, wav, lengths, codes, tally)
    _refuses_what_is_no_sound(part, wav, lengths)
    streaming_laws(part, wav, lengths, tally)
    long_laws(part, wav[:1], tally)
    gradient_laws(make, wav[:2, : int(lengths[:2].min())])
    device_laws(make, wav, lengths, tally)
    teacher_laws(part, wav, lengths)
    _decodes(part, codes)
    tally.batch_speed = _batch_speed(part)
    part.save(folder)
    restored = make()
    restored.restore(folder)
    assert _same(restored.encode(wav, lengths), codes), "saved and restored, it codes the same"
    return tally


def _refuses_what_is_no_sound(part: Tokenizer, wav: Tensor, lengths: Tensor) -> None:
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
    assert _refuses(part, wav[0], lengths[:1]), "a wave of another rank must raise AudioError"
    assert _refuses(part, wav, lengths[:1]), "lengths of another batch must raise AudioError"


def _well_formed(part: Tokenizer, codes: Codes, lengths: Tensor) -> None:
    spec = part.spec
    assert codes.spec == spec, "codes carry the tokenizer's own specification"
    assert codes.values.dtype == torch.int64, "codes are int64"
    sizes = torch.tensor(spec.codebook_sizes)[None, :, None]
    assert bool(((codes.values >= 0) & (codes.values < sizes)).all()), "codes lie in their codebook"
    _keeps_time(codes)
    frames = lengths / spec.hop_length
    assert bool(((_frames(codes) - frames).abs() <= 2).all()), (
        f"the declared rate is {spec.frame_rate:g} Hz; {lengths.tolist()} samples gave "
        f"{_frames(codes).tolist()} frames"
    )
    for row, length in enumerate(codes.lengths.tolist()):
        assert not codes.values[row, :, length:].any(), "beyond a row's length stand zeros"


def _keeps_time(codes: Codes) -> None:
    """What is merged says of how many frames."""
    if not codes.spec.deduplicated:
        return
    times = codes.durations
    assert times is not None, "merged codes need durations: the frames of each"
    assert times.shape == codes.values[:, 0].shape, "durations are [b, t]"
    real = torch.arange(times.shape[1]) < codes.lengths[:, None]
    assert bool(((times >= 1) == real).all()), "a merged code lasts a frame or more"


def _frames(codes: Codes) -> Tensor:
    """Frames [b] of each row before any were merged."""
    return codes.lengths if codes.durations is None else codes.durations.sum(dim=1)


def _keeps_its_rate(part: Tokenizer) -> None:
    """Four more seconds have four seconds' frames: a rate that is a little off shows."""
    rate = part.spec.sample_rate
    wav = torch.sin(torch.arange(5 * rate) / 20.0)[None] * 0.1
    short = int(_frames(part.encode(wav[:, :rate], torch.tensor([rate])))[0])
    more = int(_frames(part.encode(wav, torch.tensor([5 * rate])))[0]) - short
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
        ("streaming", can.streaming, part.streams),
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
    beyond = replace(codes, values=codes.values + max(part.spec.codebook_sizes))
    assert _refuses_to_decode(part, beyond), "codes out of range must raise an error of slmkit.api"
    spec = replace(part.spec, codebook_sizes=(*part.spec.codebook_sizes, 2))
    other = Codes(nn.functional.pad(codes.values, (0, 0, 0, 1)), codes.lengths, spec)
    assert _refuses_to_decode(part, other), "codes of another spec must raise an error"
    wav, lengths = part.decode(codes)
    hop = part.spec.output_hop_length or part.spec.hop_length
    due = torch.tensor([part.spec.samples(frames) for frames in _frames(codes).tolist()])
    assert bool(((lengths - due).abs() <= hop).all()), (
        f"{_frames(codes).tolist()} frames of {hop} samples became {lengths.tolist()} samples"
    )
    assert wav.shape == (len(codes), int(lengths.max())), "waves are [b, longest]"
    assert bool(torch.isfinite(wav).all()), "samples are finite numbers"
    heard, _ = part.decode_books(codes, range(part.spec.codebooks))
    assert torch.allclose(heard, wav, atol=TOLERANCE), "all codebooks alone are what `decode` hears"
    for row, length in enumerate(lengths.tolist()):
        assert not wav[row, length:].any(), "beyond a row's length lies silence"
        alone, count = part.decode(codes.row(row))
        assert int(count[0]) == length, f"row {row} decoded alone has another length"
        apart = float((alone[0, :length] - wav[row, :length]).abs().max())
        assert apart <= TOLERANCE, f"row {row} decoded alone differs by {apart:g}"
    blocks = torch.cat(list(part.decode_long(codes.row(0))), dim=1)[0]
    assert len(blocks) == int(lengths[0]), "a long sound decoded in blocks has another length"
    apart = float((blocks - wav[0, : len(blocks)]).abs().max())
    assert apart <= TOLERANCE, f"a long sound decoded in blocks differs by {apart:g}"


def _ignores_the_batch(
    part: Tokenizer, wav: Tensor, lengths: Tensor, together: Codes, tally: Tally
) -> None:
    """A row's codes are the same alone, in other batches, and whatever lies beyond its end."""
    beyond = torch.arange(wav.shape[1]) >= lengths[:, None]
    dirty = torch.where(beyond, 0.3 * torch.sin(torch.arange(wav.shape[1]) / 7.0), wav)
    dirty = torch.cat([dirty, torch.full((len(wav), 999), 0.5)], dim=1)
    law = "what lies in the padding must not count"
    tally.compare(part.encode(dirty, lengths), together, law)
    for row, length in enumerate(lengths.tolist()):
        alone = part.encode(wav[row : row + 1, :length], lengths[row : row + 1])
        tally.compare(alone, together.row(row), f"row {row} alone differs from the batch")
    draw = random.Random(0)
    for _ in range(BATCHES):
        rows = [draw.randrange(len(wav)) for _ in range(draw.randint(2, 6))]
        longest = int(lengths[rows].max())
        padded = nn.functional.pad(wav[rows, :longest], (0, draw.choice([0, 1, 777])))
        found = part.encode(padded, lengths[rows])
        for place, row in enumerate(rows):
            law = f"row {row} in the batch {rows} differs"
            tally.compare(found.row(place), together.row(row), law)


def _batch_speed(part: Tokenizer) -> float:
    """How many times as fast eight seconds are in a batch of eight as one by one."""
    rate = part.spec.sample_rate
    wav = sounds(rate)[0][:1].expand(8, -1)
    lengths = torch.full((8,), wav.shape[1])
    started = time.perf_counter()
    part.encode(wav, lengths)
    batch = time.perf_counter() - started
    started = time.perf_counter()
    for row in range(8):
        part.encode(wav[row : row + 1], lengths[row : row + 1])
    return (time.perf_counter() - started) / batch


def _same(a: Codes, b: Codes) -> bool:
    same = torch.equal(a.values, b.values) and torch.equal(a.lengths, b.lengths)
    if a.durations is None or b.durations is None:
        return bool(same and a.durations is b.durations)
    return bool(same and torch.equal(a.durations, b.durations))


def _refuses(part: Tokenizer, wav: Tensor, lengths: Tensor) -> bool:
    try:
        part.encode(wav, lengths)
    except AudioError:
        return True
    return False


def _refuses_to_decode(part: Tokenizer, codes: Codes) -> bool:
    try:
        part.decode(codes)
    except SlmkitError:
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
