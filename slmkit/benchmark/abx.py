"""ABX: of two sounds that are the same phone and one that is another, which two are alike?

A and X are tokens of one phone, B of another (Schatz et al. 2013). Phones are taken from any
context, as Hallap et al. (2022) do: a small corpus has few triples that share their neighbours.
Within speakers one voice says all three; across, X is another voice's. Frames are as far apart as
the share of their codebooks that differ, and stretches of them by dynamic time warping over the
length of its path. Chance is 50%. Letters: p (pair), k (codebook), t and s (frame).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slmkit.api import Utterance
from slmkit.benchmark.coding import FlatCodes
from slmkit.benchmark.figures import Measure, Tally
from slmkit.benchmark.protocol import Phones
from slmkit.benchmark.purity import plain_phone

ERROR = Measure("%", "lower", 100.0)
NAMES = ("abx-within", "abx-across")
AT_ONCE = 4096
"""Pairs that are warped together."""

Stretch = NDArray[np.int32]
"""The codes [k, t] of a phone."""

Said = dict[str, dict[str, list[Stretch]]]
"""Tokens by speaker and phone."""

Triple = tuple[Stretch, Stretch, Stretch]
"""A, B and X."""

Cell = tuple[str, str, str]
"""The speaker of A and B, the phone of A, and that of B."""


def measure_abx(
    codes: FlatCodes, utterances: Sequence[Utterance], books: Sequence[int], settings: Phones
) -> dict[str, Any]:
    """Both error rates: means over ordered pairs of phones, of each the mean over its speakers."""
    tally = Tally()
    said = tokens(codes, utterances, books, settings)
    for name, across in zip(NAMES, (False, True), strict=True):
        cells = list(triples(said, settings.triples, across))
        if not cells:
            lacking = "two speakers" if across else "a speaker"
            tally.absent(
                [name], f"the test utterances have no {lacking} with aligned phones enough"
            )
            continue
        errors = error_rates([some for _, some in cells])
        by_pair: dict[str, list[float]] = defaultdict(list)
        for (cell, _), error in zip(cells, errors, strict=True):
            by_pair[" ".join(cell[1:])].append(error)
        for pair, some in by_pair.items():
            tally.add(name, ERROR, pair, (sum(some) / len(some), 1.0))
    return tally.to_dict()


def tokens(
    codes: FlatCodes, utterances: Sequence[Utterance], books: Sequence[int], settings: Phones
) -> Said:
    """The first tokens of each phone by each speaker, in the order of the sample."""
    said: Said = defaultdict(lambda: defaultdict(list))
    rate = codes.spec.frame_rate
    for utterance in utterances:
        if utterance.speaker is None or utterance.id not in codes:
            continue
        whole = codes.of(utterance.id, books)
        for phone in utterance.phones:
            some = said[utterance.speaker][plain_phone(phone.label)]
            if phone.end - phone.start < settings.shortest_s or len(some) >= settings.tokens:
                continue
            # rounded, so that a phone that ends with a frame does not take in the next one
            first = min(int(round(phone.start * rate, 6)), whole.shape[1] - 1)
            last = max(first + 1, int(np.ceil(round(phone.end * rate, 6))))
            some.append(np.array(whole[:, first:last]))
    return said


def triples(
    said: Mapping[str, Any], most: int, across: bool
) -> Iterator[tuple[Cell, list[Triple]]]:
    """Of every speaker and ordered pair of phones so many triples, drawn by their names."""
    for speaker in sorted(said):
        own = {phone: some for phone, some in said[speaker].items() if some}
        for phone in sorted(own):
            alike = _others(said, speaker, phone) if across else own[phone]
            if len(alike) < (1 if across else 2):
                continue
            for other in sorted(own):
                if other == phone:
                    continue
                draw = random.Random(f"{speaker} {phone} {other} {across}")
                found = [_triple(draw, own[phone], own[other], alike, across) for _ in range(most)]
                yield (speaker, phone, other), found


def _others(said: Mapping[str, Any], speaker: str, phone: str) -> list[Stretch]:
    """The same phone by all other speakers."""
    return [t for name in sorted(said) if name != speaker for t in said[name].get(phone, ())]


def _triple(
    draw: random.Random,
    phone: list[Stretch],
    other: list[Stretch],
    alike: list[Stretch],
    across: bool,
) -> Triple:
    if across:
        return draw.choice(phone), draw.choice(other), draw.choice(alike)
    a, x = draw.sample(range(len(phone)), 2)
    return phone[a], draw.choice(other), phone[x]


def error_rates(cells: Sequence[Sequence[Triple]]) -> list[float]:
    """Of each cell the share of triples in which B is nearer to X than A is; a tie is half one."""
    flat = [triple for cell in cells for triple in cell]
    to_a = distances([(a, x) for a, _, x in flat])
    to_b = distances([(b, x) for _, b, x in flat])
    wrong = (to_b < to_a) + 0.5 * (to_b == to_a)
    ends = np.cumsum([len(cell) for cell in cells])
    return [float(some.mean()) for some in np.split(wrong, ends[:-1])]


def distances(pairs: Sequence[tuple[Stretch, Stretch]]) -> NDArray[np.float64]:
    """How far apart two stretches are [p]; pairs of like length are warped together."""
    found = np.zeros(len(pairs))
    order = sorted(range(len(pairs)), key=lambda p: (pairs[p][0].shape[1], pairs[p][1].shape[1]))
    for start in range(0, len(order), AT_ONCE):
        some = order[start : start + AT_ONCE]
        found[some] = _warped([pairs[p] for p in some])
    return found


def _warped(pairs: Sequence[tuple[Stretch, Stretch]]) -> NDArray[np.float64]:
    """Dynamic time warping of padded pairs: cost of the best path over its length [p]."""
    rows, columns = (np.array([pair[side].shape[1] for pair in pairs]) for side in (0, 1))
    height, width = int(rows.max()), int(columns.max())
    apart = np.zeros((len(pairs), height, width))
    for place, (one, other) in enumerate(pairs):
        apart[place, : one.shape[1], : other.shape[1]] = (
            one[:, :, None] != other[:, None, :]
        ).mean(axis=0)
    cost = np.full((len(pairs), height + 1, width + 1), np.inf)
    steps = np.zeros((len(pairs), height + 1, width + 1))
    cost[:, 0, 0] = 0.0
    for t in range(1, height + 1):
        for s in range(1, width + 1):
            # on a tie the diagonal, which is the shortest way
            ways = [(t - 1, s - 1), (t - 1, s), (t, s - 1)]
            came = np.stack([cost[:, a, b] for a, b in ways])
            best = came.argmin(axis=0)
            cost[:, t, s] = came.min(axis=0) + apart[:, t - 1, s - 1]
            walked = np.stack([steps[:, a, b] for a, b in ways])
            steps[:, t, s] = np.take_along_axis(walked, best[None], axis=0)[0] + 1
    index = np.arange(len(pairs))
    ends: NDArray[np.float64] = cost[index, rows, columns] / steps[index, rows, columns]
    return ends
