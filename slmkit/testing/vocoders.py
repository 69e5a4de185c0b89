"""The laws of vocoders. Letters: b (batch), t (frame), n (sample)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from slmkit.api import Codes, CodeSpec, MisfitError, State, Vocoder

TOLERANCE = 1e-4
"""Of samples: sums of floats may come out in another order in a batch."""

STREAMED = 1e-5
"""Of samples in any chunks: the same sums, over windows of another length."""

CHUNKINGS = 3
LONG = 150
"""Frames of an utterance of which some must be heard before it is over."""


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
    vocoder_streaming_laws(part, spec)
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


def vocoder_streaming_laws(part: Vocoder, spec: CodeSpec, tolerance: float = STREAMED) -> None:
    """Any chunks of codes sound as the whole, some sound comes before the end, a state is a value.

    What does not stream says so. `tolerance` is how far samples may be off, for those whose windows
    hear a little less than the whole. Raises AssertionError, which says what is broken.
    """
    if not part.streams:
        try:
            part.empty_state(1)
        except MisfitError:
            return
        raise AssertionError("a vocoder that does not stream must raise MisfitError")
    spec = replace(spec, deduplicated=False)
    draw = random.Random(0)
    for rows, frames in ((1, 1), (2, 7), (1, LONG)):
        whole = _random_codes(spec, rows, frames)
        for _ in range(CHUNKINGS):
            waves = _chunked(part, whole, _sizes(frames, draw))
            _compare(waves, part, whole, "in chunks", tolerance)
    assert sum(wave.shape[1] for wave in waves[:-1]), "nothing is heard before the codes end"
    if spec.codebooks == 1:
        merged = _codes(spec).row(2).deduplicate()
        for told in (merged, replace(merged, durations=None)):
            waves = _chunked(part, told, _sizes(told.values.shape[2], draw))
            _compare(waves, part, told, "merged, in chunks", tolerance)
    _state_is_a_value(part, _random_codes(spec, 2, 40), tolerance)


def _chunked(part: Vocoder, codes: Codes, sizes: list[int]) -> list[Tensor]:
    """The waves of chunks, and of the end."""
    state, waves, at = part.empty_state(len(codes)), [], 0
    for size in sizes:
        wav, state = part.step(_frames(codes, at, at + size), state)
        waves.append(wav)
        at += size
    return [*waves, part.finish(state)]


def _compare(waves: list[Tensor], part: Vocoder, codes: Codes, law: str, tolerance: float) -> None:
    joined, (whole, _) = torch.cat(waves, dim=1), part.synthesize(codes)
    assert joined.shape == whole.shape, (
        f"{law}: {joined.shape[1]} samples, the whole has {whole.shape[1]}"
    )
    apart = float((joined - whole).abs().max())
    assert apart <= tolerance, f"{law} it differs from the whole by {apart:g}"


def _state_is_a_value(part: Vocoder, codes: Codes, tolerance: float) -> None:
    """One can go on from the same state twice, to the same sound."""
    half = codes.values.shape[2] // 2
    _, state = part.step(_frames(codes, 0, half), part.empty_state(len(codes)))
    kept = _clone(state)
    second = _frames(codes, half, 2 * half)
    wav, after = part.step(second, state)
    rest = part.finish(after)
    for start, law in ((state, "from the same state again"), (kept, "from a state's clone")):
        found, end = part.step(second, start)
        assert found.shape == wav.shape, f"{law} another number of samples comes"
        for one, other in ((found, wav), (part.finish(end), rest)):
            apart = float((one - other).abs().max()) if one.numel() else 0.0
            assert apart <= tolerance, f"{law} it sounds otherwise, by {apart:g}"


def _clone(state: State) -> State:
    return {
        name: value.clone() if isinstance(value, Tensor) else _clone(value)
        for name, value in state.items()
    }


def _frames(codes: Codes, start: int, end: int) -> Codes:
    """Some frames of equally long rows."""
    values = codes.values[:, :, start:end]
    durations = codes.durations
    return replace(
        codes,
        values=values,
        lengths=torch.full((len(values),), values.shape[2]),
        durations=None if durations is None else durations[:, start:end],
    )


def _sizes(frames: int, draw: random.Random) -> list[int]:
    """Random sizes of chunks, of one frame and of none among them."""
    sizes = [1, 0]
    while (left := frames - sum(sizes)) > 0:
        sizes.append(min(left, draw.choice([1, 2, 4, draw.randint(1, frames)])))
    return sizes


def _random_codes(spec: CodeSpec, rows: int, frames: int) -> Codes:
    """Equally long utterances."""
    generator = torch.Generator().manual_seed(frames)
    books = [
        torch.randint(size, (rows, frames), generator=generator) for size in spec.codebook_sizes
    ]
    return Codes(torch.stack(books, dim=1), torch.full((rows,), frames), spec)


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
