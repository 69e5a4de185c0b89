"""The codes of a benchmark's speech: made once for each tokenizer, then read from the disk.

All codes lie end to end in one file that is mapped into memory, so that a corpus of any length
takes no more of it. Letters: k (codebook), t (frame).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slmkit.api import CodeSpec, DataError, Progress, StageError, Tokenizer, Utterance
from slmkit.benchmark.data import Prepared
from slmkit.benchmark.protocol import Fit
from slmkit.data.atomic import write_atomically
from slmkit.data.codebooks import frames_of
from slmkit.data.extract import Extracted, extract
from slmkit.data.store import TokenStore
from slmkit.host import is_part, save_part
from slmkit.recipe.chosen import SAVED, Chosen, build_chosen

STORE, FITTED, FLAT, INDEX = "store", "fitted", "codes.npy", "index.json"
LENGTHS_MAY_DIFFER_S = 0.25
"""Between a sound and the frames that a tokenizer gives it, beside two frames."""


@dataclass(frozen=True)
class FlatCodes:
    """Codes of many utterances, int32 [all frames, k] on the disk."""

    values: NDArray[np.int32]
    places: Mapping[str, tuple[int, int]]
    spec: CodeSpec

    @classmethod
    def open(cls, folder: Path) -> FlatCodes:
        """What `make_codes` left."""
        index = json.loads((folder / INDEX).read_text())
        places = {id: (first, last) for id, (first, last) in index["places"].items()}
        values = np.load(folder / FLAT, mmap_mode="r")
        return cls(values, places, CodeSpec.from_dict(index["spec"]))

    def __contains__(self, id: object) -> bool:
        return id in self.places

    def of(self, id: str, books: Sequence[int]) -> NDArray[np.int32]:
        """Some codebooks [k, t] of one utterance."""
        first, last = self.places[id]
        found: NDArray[np.int32] = self.values[first:last].T[list(books)]
        return found


def spec_of(folder: Path) -> CodeSpec | None:
    """Of the codes that were made in a folder, None where they are not. Imports no torch."""
    try:
        return CodeSpec.from_dict(json.loads((folder / INDEX).read_text())["spec"])
    except FileNotFoundError:
        return None


def make_codes(
    chosen: Mapping[str, Any],
    fingerprint: str,
    prepared: Prepared,
    fit: Fit,
    folder: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Fit a tokenizer that needs it, code everything; `folder` then holds codes and maybe the
    fitted part. Raises DataError for frames that are no measure of the sound, and whatever the
    tokenizer raises; gives what could not be coded, by id, and why."""
    utterances = prepared.utterances()
    build = Chosen.from_dict("tokenizer", chosen).build
    if SAVED not in chosen and not is_part(folder / FITTED):
        part = build()
        if type(part).fit is not Tokenizer.fit:
            _fitted(part, [utterances[id] for id in prepared.subsets["train"]], fit, folder)
    made_by = {SAVED: str(folder / FITTED)} if is_part(folder / FITTED) else dict(chosen)
    done: Extracted = extract(
        list(utterances.values()),
        folder / STORE,
        partial(build_chosen, "tokenizer", made_by),
        fingerprint,
        made_by,
        progress,
    )
    if not done.coded and not done.known:
        reason = next(iter(done.faults.values()), "there is no sound")
        raise StageError(f"none of {len(utterances)} utterances could be coded: {reason}")
    _flatten(TokenStore.open(folder / STORE), utterances, folder)
    return {"faults": done.faults}


def built(chosen: Mapping[str, Any], folder: Path) -> Tokenizer:
    """The tokenizer whose codes lie in a folder, fitted if it was."""
    made_by = {SAVED: str(folder / FITTED)} if is_part(folder / FITTED) else dict(chosen)
    tokenizer: Tokenizer = build_chosen("tokenizer", made_by)
    return tokenizer


def _fitted(part: Any, heard: Sequence[Utterance], fit: Fit, folder: Path) -> None:
    import torch

    from slmkit.data.audio import read_utterance
    from slmkit.data.batches import pad_wavs

    if not heard:
        raise DataError("the tokenizer has to be fitted, and the data has no training utterance")
    some = random.Random(0).sample(list(heard), min(fit.utterances, len(heard)))

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for start in range(0, len(some), fit.batch):
            waves = [
                read_utterance(u, part.spec.sample_rate) for u in some[start : start + fit.batch]
            ]
            yield pad_wavs(waves)

    part.fit(batches())
    origin = part.origin
    save_part(part, folder / FITTED, origin.shelved, origin.options, origin.given)


def _flatten(store: TokenStore, utterances: Mapping[str, Utterance], folder: Path) -> None:
    """Codes end to end; each merged unit as often as it was heard."""
    total, spec = 0, store.spec
    lengths: dict[str, int] = {}
    for row in store.rows():
        lengths[row.id] = row.frames if row.durations is None else int(row.durations.sum())
        _check_length(utterances[row.id], lengths[row.id], spec)
        total += lengths[row.id]
    beside = folder / f"{FLAT}.tmp"
    values = np.lib.format.open_memmap(beside, "w+", np.int32, (total, spec.codebooks))
    places, first = {}, 0
    for row in store.rows():
        last = first + lengths[row.id]
        values[first:last] = frames_of(row).T
        places[row.id], first = (first, last), last
    values.flush()
    beside.replace(folder / FLAT)
    index = {"spec": spec.to_dict(), "places": places}
    write_atomically(folder / INDEX, json.dumps(index).encode())


def _check_length(utterance: Utterance, frames: int, spec: CodeSpec) -> None:
    if utterance.duration is None:
        return
    told = frames / spec.frame_rate
    if abs(told - utterance.duration) > LENGTHS_MAY_DIFFER_S + 2 / spec.frame_rate:
        raise DataError(
            f"the tokenizer gives utterance '{utterance.id}' of {utterance.duration:.2f} s "
            f"{frames} frames, which are {told:.2f} s at its {spec.frame_rate:g} Hz"
        )
