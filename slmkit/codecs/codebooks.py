"""How codebooks learn: k-means start, moving averages, revival of entries that nobody uses.

Van den Oord et al. 2017 (moving averages), Dhariwal et al. 2020 (revival), Zeghidour et al. 2021
(k-means start); constants as published with EnCodec. Where several processes train together every
one of them ends each step with the same codebook: statistics are summed over all, and what is drawn
by chance is drawn by the first and sent to the others.

Letters: f (frame), c (entry), d (width).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributed as processes


@dataclass(frozen=True)
class Learning:
    """How codebooks follow the frames.

    Attributes:
        decay: of the moving averages.
        start_rounds: rounds of k-means on the first batch.
        least_used: entries that fewer frames a step use on average are drawn anew; 0: none.
        smoothing: frames that every entry is credited with, so that none divides by zero.
    """

    decay: float = 0.99
    start_rounds: int = 50
    least_used: float = 2.0
    smoothing: float = 1e-5


def start(frames: Tensor, entries: int, rounds: int) -> tuple[Tensor, Tensor]:
    """Entries [c, d] by k-means over frames [f, d] of all processes, and how many each has [c]."""
    centres = _drawn(frames, entries)
    counts = frames.new_zeros(entries)
    for _ in range(rounds):
        nearest = nearest_entries(frames, centres)
        sums, counts = statistics(frames, nearest, entries)
        moved = sums / counts.clamp(min=1)[:, None]
        centres = torch.where(counts[:, None] > 0, moved, centres)
    return centres, counts


def nearest_entries(frames: Tensor, entries: Tensor) -> Tensor:
    """The nearest of entries [c, d] to each of frames [f, d], int64 [f]."""
    half = entries.square().sum(dim=-1) / 2
    return torch.addmm(half, frames, entries.T, alpha=-1).argmin(dim=-1)


def statistics(frames: Tensor, codes: Tensor, entries: int) -> tuple[Tensor, Tensor]:
    """Sums [c, d] and counts [c] of the frames of each entry, over all processes."""
    sums = frames.new_zeros(entries, frames.shape[-1]).index_add_(0, codes, frames)
    counts = torch.bincount(codes, minlength=entries).to(frames)
    if _several():
        processes.all_reduce(sums)
        processes.all_reduce(counts)
    return sums, counts


def follow(
    frames: Tensor, codes: Tensor, entries: Tensor, sums: Tensor, counts: Tensor, how: Learning
) -> None:
    """Move one codebook, in place, after a batch of frames [f, d] with their codes [f]."""
    if how.least_used:
        unused = counts < how.least_used
        if bool(unused.any()):
            # a revived entry is credited with what keeps it alive while it finds its frames
            fresh = _drawn(frames, len(entries))
            entries.copy_(torch.where(unused[:, None], fresh, entries))
            counts.copy_(torch.where(unused, how.least_used, counts))
            sums.copy_(torch.where(unused[:, None], fresh * how.least_used, sums))
            codes = nearest_entries(frames, entries)
    new_sums, new_counts = statistics(frames, codes, len(entries))
    counts.lerp_(new_counts, 1 - how.decay)
    sums.lerp_(new_sums, 1 - how.decay)
    total = counts.sum()
    smoothed = (counts + how.smoothing) / (total + len(counts) * how.smoothing) * total
    entries.copy_(sums / smoothed[:, None])


def _drawn(frames: Tensor, count: int) -> Tensor:
    """`count` of the frames [f, d] by chance, the same for all processes; each gives its share."""
    if _several():
        shares = [torch.empty_like(frames) for _ in range(processes.get_world_size())]
        processes.all_gather(shares, frames)
        frames = torch.cat(shares)
    if len(frames) >= count:
        chosen = torch.randperm(len(frames), device=frames.device)[:count]
    else:
        chosen = torch.randint(len(frames), (count,), device=frames.device)
    drawn = frames[chosen].clone()
    if _several():
        processes.broadcast(drawn, src=0)
    return drawn


def _several() -> bool:
    together = processes.is_available() and processes.is_initialized()
    return together and int(processes.get_world_size()) > 1
