"""What published transcribers share: loading, and hearing each row by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from slmkit.api import AudioError, WeightsError


def loaded(part: str, model: str, *loaders: Callable[[str], Any]) -> list[Any]:
    """What each loader makes of a local folder or hub id. Raises WeightsError."""
    try:
        return [loader(model) for loader in loaders]
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(
            f"{part}: no model at '{model}' ({reason}); give a folder, or download it: "
            f"hf download {model}"
        ) from None


def rows(wav: Tensor, lengths: Tensor) -> Iterator[Tensor]:
    """Each row [n] without its padding: models that normalize over time would hear it.

    Raises AudioError for rows that are empty or not finite.
    """
    for row, length in zip(wav, lengths.tolist(), strict=True):
        if length == 0 or not torch.isfinite(row[:length]).all():
            raise AudioError("an empty or broken sound cannot be transcribed")
        yield row[:length]
