"""How units stand to phones and to speakers, counted frame by frame.

Phone-normalized mutual information and phone purity (Hsu et al. 2021, HuBERT): how much of the
uncertainty about the phone of a frame its unit takes away, and how often the phone that a unit
mostly stands for is the right one. Speaker purity is the same for speakers, where less is better:
units that know who speaks carry more than what is said. Letters: u (unit), c (class).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slmkit.api import Interval, Utterance
from slmkit.benchmark.coding import FlatCodes
from slmkit.benchmark.figures import Measure, Tally
from slmkit.data.intervals import jackknife

Counts = NDArray[np.int64]
"""How many frames have a unit and a class [u, c]."""

GROUPS = 20
"""Into so many groups utterances are dealt, each of which is left out once for an interval."""

SHARE = Measure("", "higher")
NAMES = ("phone-mutual-information", "phone-purity", "speaker-purity")


def normalized_information(counts: Counts) -> float:
    """I(class; unit) / H(class), 0..1: nothing where there is one class only."""
    joint = counts / counts.sum()
    classes = joint.sum(axis=0)
    own = _entropy(classes)
    return (own + _entropy(joint.sum(axis=1)) - _entropy(joint)) / own if own > 0 else 0.0


def purity(counts: Counts) -> float:
    """The share of frames whose class is the one that their unit mostly stands for."""
    return float(counts.max(axis=1).sum() / counts.sum())


def _entropy(shares: NDArray[np.float64]) -> float:
    """Nats, of shares that sum to 1."""
    some = shares[shares > 0]
    return max(0.0, float(-(some * np.log(some)).sum()))


def plain_phone(label: str) -> str:
    """A phone without its stress: IPA's marks before it, ARPABET's digit behind."""
    return label.strip("ˈˌ").rstrip("012")


def frame_phones(phones: Sequence[Interval], frames: int, frame_rate: float) -> list[str | None]:
    """The phone in the middle of each frame, None in pauses."""
    found: list[str | None] = [None] * frames
    for phone in phones:
        # the frames whose middle, (t + 1/2) / rate, lies in the phone
        first = int(np.ceil(round(phone.start * frame_rate - 0.5, 6)))
        last = int(np.ceil(round(phone.end * frame_rate - 0.5, 6)))
        for frame in range(max(0, first), min(frames, last)):
            found[frame] = plain_phone(phone.label)
    return found


def measure_purity(codes: FlatCodes, utterances: Sequence[Utterance], book: int) -> dict[str, Any]:
    """All of it for one codebook, over the utterances that have alignments and speakers."""
    tally, labels = Tally(), ("phones", "speakers")
    known = [u for u in utterances if u.id in codes]
    phones, speakers = ({u.id: got for u in known if (got := how(u, codes))} for how in
                        (_phones_of, _speakers_of))  # fmt: skip
    for name, classes in zip(labels, (phones, speakers), strict=True):
        if len({c for each in classes.values() for c in each if c is not None}) < 2:
            reason = f"the test utterances have no {name}, or all the same"
            tally.absent([n for n in NAMES if n.startswith(name[:-1])], reason)
            continue
        _count(tally, codes, classes, book, name[:-1])
    return tally.to_dict()


def _phones_of(utterance: Utterance, codes: FlatCodes) -> list[str | None]:
    first, last = codes.places[utterance.id]
    if not utterance.phones:
        return []
    return frame_phones(utterance.phones, last - first, codes.spec.frame_rate)


def _speakers_of(utterance: Utterance, codes: FlatCodes) -> list[str | None]:
    first, last = codes.places[utterance.id]
    return [utterance.speaker] * (last - first) if utterance.speaker else []


def _count(
    tally: Tally,
    codes: FlatCodes,
    classes: Mapping[str, Sequence[str | None]],
    book: int,
    what: str,
) -> None:
    numbers = {
        c: n for n, c in enumerate(sorted({c for each in classes.values() for c in each if c}))
    }
    size = codes.spec.codebook_sizes[book]
    groups: Counts = np.zeros((GROUPS, size, len(numbers)), dtype=np.int64)
    frames: dict[str, tuple[Counts, Counts]] = {}
    for place, (id, each) in enumerate(sorted(classes.items())):
        units = codes.of(id, [book])[0]
        real = np.array([c is not None for c in each])
        heard = np.array([numbers[c] for c in each if c is not None], dtype=np.int64)
        frames[id] = units[real].astype(np.int64), heard
        np.add.at(groups[place % GROUPS], frames[id], 1)
    whole = groups.sum(axis=0)
    mostly = whole.argmax(axis=1)
    direction = SHARE if what == "phone" else Measure("", "lower")
    for id, (units, heard) in frames.items():
        if len(units):
            hits = float((mostly[units] == heard).sum())
            tally.add(f"{what}-purity", direction, id, (hits, float(len(units))))
    if what == "phone":
        rest = (whole - group for group in groups if group.any())
        without = [normalized_information(left) for left in rest if left.any()]
        found = jackknife(normalized_information(whole), without)
        tally.value(NAMES[0], SHARE, found, len(frames))
