"""How much the page takes from a visitor, and the sound that it takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from slmkit.api import AudioError, DataError
from slmkit.data.audio import Wave, probe, read_blocks

MOST_BYTES = 20 * 1024 * 1024
"""Of an uploaded file."""
LONGEST_S = 60.0
"""Seconds of a sound."""
LONGEST_TEXT = 500
"""Characters of a text."""
WAITING = 16
"""Requests that wait for their turn at most."""


def receive(path: str | Path | None, what: str, sample_rate: int) -> Wave:
    """The sound [n] that a visitor gave, float32 at `sample_rate`; `what` names it where none is.

    Raises AudioError, which speaks of the file by its own name, not by where it lies here.
    """
    if path is None:
        raise AudioError(f"there is no {what} yet: record it, or choose a file")
    path = Path(path)
    try:
        _refuse_long(path, probe(path).duration)
        # a header may promise less than there is: what is read is counted as well
        blocks, samples = [], 0
        for block in read_blocks(path, sample_rate):
            blocks.append(block)
            samples += len(block)
            _refuse_long(path, samples / sample_rate)
        return np.concatenate(blocks)
    except AudioError as error:
        raise AudioError(str(error).replace(str(path), path.name)) from error


def _refuse_long(path: Path, seconds: float) -> None:
    if seconds > LONGEST_S:
        raise AudioError(
            f"{path}: {seconds:.1f} s are more than the {LONGEST_S:g} s that this page takes: "
            "cut it"
        )


def accept(text: str, what: str) -> str:
    """A text that a visitor typed, without spaces around it. Raises DataError."""
    text = text.strip()
    if not text:
        raise DataError(f"there is no {what} yet: type it")
    if len(text) > LONGEST_TEXT:
        raise DataError(
            f"the {what} has {len(text)} characters, this page takes {LONGEST_TEXT}: shorten it"
        )
    return text
