"""The laws of tokenizers that stream. Letters: b (batch), k (codebook), t (frame), n (sample)."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from slmkit.api import Codes, MisfitError, State, Tokenizer
from slmkit.testing.tally import Tally

CHUNKINGS = 3


def streaming_laws(part: Tokenizer, wav: Tensor, lengths: Tensor, tally: Tally) -> None:
    """Any chunking equals the whole, a state is a value, and blocks of a long sound do as well.

    `wav` [b, n]; what does not stream says so. Raises AssertionError.
    """
    if not part.streams:
        try:
            part.empty_state(1)
        except MisfitError:
            return
        raise AssertionError("a tokenizer that does not stream must raise MisfitError")
    tally.streams = True
    shortest = int(lengths.min())
    cut = wav[:, :shortest]
    whole = part.encode(cut, torch.full((len(wav),), shortest))
    draw = random.Random(0)
    for _ in range(CHUNKINGS):
        tally.compare(_chunked(part, cut, _sizes(shortest, draw)), whole, "any chunks")
    _state_is_a_value(part, cut, tally)


def long_laws(part: Tokenizer, wav: Tensor, tally: Tally) -> None:
    """A sound in blocks is coded as a whole: `wav` [1, n]. Windows may join it less than exactly,
    where a part has its own; its frames must be as many. Raises AssertionError."""
    whole = part.encode(wav, torch.tensor([wav.shape[1]]))
    joined = Codes.join(list(part.encode_long(iter(wav.split(wav.shape[1] // 3 + 1, dim=1)))))
    if type(part).encode_long is Tokenizer.encode_long:
        tally.compare(joined, whole, "blocks of a long sound")
    else:
        apart = abs(int(joined.lengths[0]) - int(whole.lengths[0]))
        assert apart <= 1, f"a long sound in blocks has {apart} frames more or fewer than whole"


def _chunked(part: Tokenizer, wav: Tensor, sizes: list[int]) -> Codes:
    """The codes of chunks, joined."""
    state = part.empty_state(len(wav))
    parts = []
    for chunk in wav.split(sizes, dim=1):
        codes, state = part.step(chunk, state)
        parts.append(codes)
    return _join([*parts, part.finish(state)])


def _join(parts: list[Codes]) -> Codes:
    """Of equally long rows, [b, k, t]."""
    rows = [Codes.join([each.row(row) for each in parts]) for row in range(len(parts[0]))]
    return Codes.pad([row.values[0] for row in rows], parts[0].spec)


def _sizes(samples: int, draw: random.Random) -> list[int]:
    """Random sizes of chunks, single samples among them."""
    sizes = [1, 2]
    while (left := samples - sum(sizes)) > 0:
        sizes.append(min(left, draw.choice([1, 37, 500, 1999, draw.randint(1, samples)])))
    return sizes


def _state_is_a_value(part: Tokenizer, wav: Tensor, tally: Tally) -> None:
    """One can go on from the same state twice, to the same codes."""
    half = wav.shape[1] // 2
    _, state = part.step(wav[:, :half], part.empty_state(len(wav)))
    kept = _clone(state)
    codes, after = part.step(wav[:, half:], state)
    rest = part.finish(after)
    for start, law in ((state, "from the same state again"), (kept, "from a state's clone")):
        found, end = part.step(wav[:, half:], start)
        tally.compare(found, codes, law)
        tally.compare(part.finish(end), rest, law)


def _clone(state: State) -> State:
    return {
        name: value.clone() if isinstance(value, Tensor) else _clone(value)
        for name, value in state.items()
    }
