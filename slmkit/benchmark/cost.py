"""What codes cost: bits, time, memory, and how well they use their codebooks.

Letters: k (codebook), t (frame).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from time import perf_counter
from typing import Any

import torch
from numpy.typing import NDArray

from slmkit.api import Codes, MisfitError, Utterance
from slmkit.benchmark.coding import FlatCodes
from slmkit.benchmark.figures import Measure, Tally
from slmkit.data.audio import read_utterance
from slmkit.data.codebooks import (
    bits_per_second,
    entropy_coded_bits_per_second,
    use_of_codebooks,
)
from slmkit.recipe.machine import forget_peak_memory, peak_memory

RATE, BITS = Measure("Hz", "lower"), Measure("bit/s", "lower")
USAGE = Measure("%", "higher", 100.0)
FACTOR, MEMORY = Measure("", "lower"), Measure("MB", "lower")
WHOLE = "all"
"""The selection of what is measured of a tokenizer as it is."""


def measure_rates(
    codes: FlatCodes, utterances: Sequence[Utterance], selections: Mapping[str, Sequence[int]]
) -> dict[str, Any]:
    """Frames and bits a second, and the share of entries that occur in the test utterances."""
    tally, spec = Tally(), codes.spec
    known = sorted(u.id for u in utterances if u.id in codes)
    every = range(spec.codebooks)
    whole: Iterator[NDArray[Any]] = (codes.of(id, every) for id in known)
    use = use_of_codebooks(whole, spec.codebook_sizes)
    tally.value(f"frame-rate/{WHOLE}", RATE, (spec.frame_rate,) * 3, len(known))
    for selection, books in selections.items():
        bits = bits_per_second(spec, books)
        tally.value(f"bitrate/nominal/{selection}", BITS, (bits,) * 3, len(known))
        coded = entropy_coded_bits_per_second(spec, use, books)
        tally.value(f"bitrate/entropy-coded/{selection}", BITS, coded, len(known))
        # a count, not an estimate: of fewer utterances it could only be smaller
        share = sum(use[book].usage for book in books) / len(books)
        tally.value(f"codebook-usage/{selection}", USAGE, (share,) * 3, len(known))
    return tally.to_dict()


@torch.inference_mode()  # type: ignore[untyped-decorator]
def measure_cost(
    tokenizer: Any, vocoder: Any, utterances: Sequence[Utterance], items: int
) -> dict[str, Any]:
    """Real-time factors, one utterance at a time, and the peak memory of this process, which should
    have done nothing else."""
    tally = Tally()
    first, *rest = utterances[: items + 1]
    # what a part makes ready when it is first used is no part of its speed
    _encode(tokenizer, first)
    forget_peak_memory()
    coded: list[tuple[str, float, Codes]] = []
    for utterance in rest or [first]:
        codes, seconds, heard = _encode(tokenizer, utterance)
        tally.add(f"real-time-factor-encode/{WHOLE}", FACTOR, utterance.id, (seconds, heard))
        coded.append((utterance.id, heard, codes))
    _peak(tally, "encode", len(coded))
    forget_peak_memory()
    try:
        _decode(tokenizer, vocoder, coded[0][2])
    except MisfitError as error:
        names = [f"{name}-decode/{WHOLE}" for name in ("real-time-factor", "peak-memory")]
        tally.absent(names, str(error))
        return tally.to_dict()
    for id, heard, codes in coded:
        begun = perf_counter()
        _decode(tokenizer, vocoder, codes)
        took = perf_counter() - begun
        tally.add(f"real-time-factor-decode/{WHOLE}", FACTOR, id, (took, heard))
    _peak(tally, "decode", len(coded))
    return tally.to_dict()


def _encode(tokenizer: Any, utterance: Utterance) -> tuple[Codes, float, float]:
    """Codes, the seconds that they took, and the seconds of sound."""
    wav = torch.from_numpy(read_utterance(utterance, tokenizer.spec.sample_rate))[None]
    begun = perf_counter()
    codes = tokenizer.encode(wav, torch.tensor([wav.shape[1]]))
    return codes, perf_counter() - begun, wav.shape[1] / tokenizer.spec.sample_rate


def _decode(tokenizer: Any, vocoder: Any, codes: Codes) -> None:
    if vocoder is not None:
        vocoder.synthesize(codes)
    else:
        tokenizer.decode(codes.expand())


def _peak(tally: Tally, what: str, n: int) -> None:
    megabytes = peak_memory()[0] / 1e6
    tally.value(f"peak-memory-{what}/{WHOLE}", MEMORY, (megabytes,) * 3, n)
