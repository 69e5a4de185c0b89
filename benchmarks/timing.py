"""Times of works that run in turn, so that what else the machine does weighs on all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch


def in_turn(works: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each work in each round; one round before them warms up and is not counted."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            begun = time.perf_counter()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number:
                times[name].append(time.perf_counter() - begun)
    return times


def faster_peer(times: Mapping[str, list[float]], ours: str) -> tuple[str, float]:
    """The fastest of the others, and how many times as fast as it we are: the median of rounds."""
    peers = {name: statistics.median(found) for name, found in times.items() if name != ours}
    peer = min(peers, key=lambda name: peers[name])
    rounds = zip(times[peer], times[ours], strict=True)
    return peer, statistics.median(theirs / mine for theirs, mine in rounds)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads for torch inside a `with` block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
