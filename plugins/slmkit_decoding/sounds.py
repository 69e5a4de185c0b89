"""Drafts side by side: prompt and target of each as one run of frames.

Letters: b (batch), k (codebook), n (frame of prompt and target), l (text id), d (width).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from slmkit.api import Draft

UNKNOWN = -1
"""A code that is not there yet."""

PREFIX_CHANCE = 0.5
"""How often an utterance without a prompt lends its own beginning as one."""

PREFIX_SHARE = (0.25, 0.5)
"""... and how much of itself (the published code's prefix mode 1)."""


@dataclass(eq=False)
class Sounds:
    """A batch of drafts.

    Attributes:
        text: int64 [b, l], padded with 0; `text_real` bool [b, l] says where it is real.
        codes: int64 [b, k, n], padded with UNKNOWN; the prompt first.
        real: bool [b, n].
        target: bool [b, n], the frames behind the prompt.
    """

    text: Tensor
    text_real: Tensor
    codes: Tensor
    real: Tensor
    target: Tensor

    @classmethod
    def of(
        cls,
        drafts: Sequence[Draft],
        codebooks: int,
        device: torch.device,
        codes: Sequence[np.ndarray] | None = None,
    ) -> Sounds:
        """Drafts on a device, each followed by its own `codes` [k, t] where they are known."""
        rows = []
        for row, draft in enumerate(drafts):
            known = draft.coarse if codes is None else codes[row]
            target = np.full((codebooks, known.shape[1]), UNKNOWN, dtype=np.int64)
            target[: len(known)] = known
            prompt = draft.prompt.reshape(codebooks, -1)
            rows.append(np.concatenate([prompt, target], axis=1))
        begins = torch.tensor([draft.prompt.shape[1] for draft in drafts])
        text, text_real = _pad([draft.text[None] for draft in drafts], 0)
        padded, real = _pad(rows, UNKNOWN)
        target_of = real & (torch.arange(padded.shape[2]) >= begins[:, None])
        parts = (text[:, 0], text_real, padded, real, target_of)
        return cls(*(part.to(device) for part in parts))

    def targets(self) -> list[np.ndarray]:
        """Each row's codes behind its prompt, int64 [k, t]."""
        rows = zip(self.codes.cpu(), self.target.cpu(), strict=True)
        return [codes[:, mask].numpy() for codes, mask in rows]


def _pad(rows: Sequence[np.ndarray], fill: int) -> tuple[Tensor, Tensor]:
    """Arrays [k, n] as one [b, k, n] and bool [b, n]."""
    longest = max(row.shape[1] for row in rows)
    padded = torch.full((len(rows), rows[0].shape[0], longest), fill, dtype=torch.int64)
    for row, array in zip(padded, rows, strict=True):
        row[:, : array.shape[1]] = torch.from_numpy(array)
    lengths = torch.tensor([row.shape[1] for row in rows])
    return padded, torch.arange(longest) < lengths[:, None]


def embed_known(tables: nn.ModuleList, codes: Tensor) -> Tensor:
    """The sum [b, n, d] over codebooks of the rows of codes [b, k, n]; UNKNOWN adds none."""
    total: Tensor | None = None
    for table, book in zip(tables, codes.unbind(1), strict=True):
        rows = table(book.clamp(min=0)) * (book != UNKNOWN)[..., None]
        total = rows if total is None else total + rows
    assert total is not None, "codes have a codebook"
    return total


def lend_beginnings(sounds: Sounds, draw: torch.Generator) -> None:
    """Let some utterances that have no prompt give their own first frames for one."""
    least, most = PREFIX_SHARE
    for row, target in enumerate(sounds.target):
        frames = int(target.sum())
        if bool(target[0]) and float(torch.rand((), generator=draw)) < PREFIX_CHANCE:
            share = least + (most - least) * float(torch.rand((), generator=draw))
            sounds.target[row, : int(share * frames)] = False


def early(count: int, draw: torch.Generator) -> int:
    """Which of so many codebooks is learnt at a step, from 0: number n n-th as often as the first.

    Published refiners draw them evenly; but on the first ones all later ones build, and of them
    more can be known.
    """
    return int(torch.multinomial(1 / torch.arange(1, count + 1), 1, generator=draw))
