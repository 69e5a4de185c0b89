"""Coding in this process, or in several side by side; the order of the answers is the same."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Protocol

from slmkit.api import AudioError, CodeSpec, SlmkitError, StageError, Tokenizer, Utterance
from slmkit.data.shards import StoredCodes

Batch = tuple[Sequence[Utterance], Mapping[str, str]]
"""Utterances, and the hash of the sound of each by id."""

Coded = tuple[list[StoredCodes], dict[str, AudioError]]
"""The rows of a batch, and why some have none."""

AHEAD = 2
"""Batches that wait for each process, so that none is idle and memory stays small."""


class Coder(Protocol):
    """Codes batches; made by `coders`."""

    spec: CodeSpec

    def __call__(self, batches: Iterable[Batch]) -> Iterator[Coded]:
        """What became of each batch, in order."""


@contextmanager
def coders(make: Callable[[], Tokenizer], jobs: int) -> Iterator[Coder]:
    """A coder of `jobs` processes, each with a tokenizer of its own and its share of the cores.

    `make` must be one that can be sent to another process. Raises StageError where a process dies.
    """
    if jobs == 1:
        yield _Here(make())
        return
    cores = max(1, (os.cpu_count() or 1) // jobs)
    pool = ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_prepare, initargs=(make, cores)
    )
    try:
        yield _Pool(pool, jobs)
    except BrokenProcessPool:
        raise StageError(
            "a process that codes was ended from outside (too little memory for so many?): run the "
            "same command again with fewer --jobs, it goes on where it stopped"
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class _Here:
    """Codes in this process."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer, self.spec = tokenizer, tokenizer.spec

    def __call__(self, batches: Iterable[Batch]) -> Iterator[Coded]:
        from slmkit.data.coding import code

        for utterances, sources in batches:
            yield code(utterances, self.tokenizer, sources=sources)


class _Pool:
    """Codes in other processes, a few batches ahead of what was asked for."""

    def __init__(self, pool: ProcessPoolExecutor, jobs: int) -> None:
        self.pool, self.jobs = pool, jobs
        self.spec = pool.submit(_spec).result()

    def __call__(self, batches: Iterable[Batch]) -> Iterator[Coded]:
        waiting: deque[Future[Coded]] = deque()
        for batch in batches:
            waiting.append(self.pool.submit(_code, batch))
            if len(waiting) >= AHEAD * self.jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


_own: list[Tokenizer | SlmkitError] = []
"""In a process of a pool, the tokenizer that it was started with, or why there is none."""


def _prepare(make: Callable[[], Tokenizer], cores: int) -> None:
    import torch

    # Ctrl-C reaches every process of a terminal; only the first one decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(cores)
    try:
        _own[:] = [make()]
    except SlmkitError as error:
        # an error of more than a line could not be sent to the first process
        plain = type(error).__init__ is Exception.__init__
        _own[:] = [error if plain else SlmkitError(str(error))]


def end_with_parent() -> None:
    """A first process that is killed takes no leave; nobody would ever end the others."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _tokenizer() -> Tokenizer:
    if isinstance(_own[0], SlmkitError):
        raise _own[0]
    return _own[0]


def _spec() -> CodeSpec:
    return _tokenizer().spec


def _code(batch: Batch) -> Coded:
    from slmkit.data.coding import code

    utterances, sources = batch
    return code(utterances, _tokenizer(), sources=sources)
