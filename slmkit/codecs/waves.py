"""What a codec asks of the waves that it is given.

Letters: b (batch), c (channel), n (sample).
"""

from __future__ import annotations

import torch
from torch import Tensor

from slmkit.api import AudioError


def channelled(wav: Tensor, lengths: Tensor, channels: int, name: str) -> tuple[Tensor, list[int]]:
    """(wav [b, c, n], lengths) of wav [b, n] or [b, c, n], cut to the longest and finite.

    A mono wave goes into each channel; beyond a row's length all is zero. Raises AudioError.
    """
    if wav.dim() == 2:
        wav = wav[:, None].expand(-1, channels, -1)
    if wav.dim() != 3 or wav.shape[1] != channels:
        kinds = "[batch, samples]" + (f" or [batch, {channels}, samples]" if channels > 1 else "")
        mend = "; mix its channels down to one first" if channels == 1 and wav.dim() == 3 else ""
        raise AudioError(f"{name} takes waves of shape {kinds}, not {tuple(wav.shape)}{mend}")
    rows = [int(length) for length in lengths]
    if len(rows) != len(wav) or not rows:
        raise AudioError(f"{name} was given {len(wav)} waves and {len(rows)} lengths")
    if min(rows) < 1:
        raise AudioError(f"{name}: an utterance of no samples has no codes")
    if max(rows) > wav.shape[-1]:
        raise AudioError(f"{name}: a length of {max(rows)} in waves of {wav.shape[-1]} samples")
    wav = wav[..., : max(rows)].float()
    ends = torch.tensor(rows, device=wav.device)[:, None, None]
    wav = torch.where(torch.arange(wav.shape[-1], device=wav.device) < ends, wav, 0.0)
    if not bool(torch.isfinite(wav).all()):
        raise AudioError(f"{name}: the wave holds samples that are not finite numbers")
    return wav, rows


def groups(lengths: list[int], most: int) -> list[list[int]]:
    """Row numbers that go through a network together: up to `most` samples, padding counted, rows
    of like length beside each other.
    """
    found: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if found and lengths[found[-1][0]] * (len(found[-1]) + 1) <= most:
            found[-1].append(row)
        else:
            found.append([row])
    return found
