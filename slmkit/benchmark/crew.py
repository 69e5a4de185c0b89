"""Work in other processes, side by side. Imports no torch.

Each process computes with one thread, so that a figure does not depend on how many there are.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from slmkit.api import StageError
from slmkit.data.jobs import end_with_parent

Task = Callable[[], Any]
"""A function that can be sent to another process: of a module, or a `partial` of one."""


class Crew:
    """Processes that are there until the `with` block ends; see `crew`."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def done(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        """(place, answer) of each task as it ends. Raises what a task raised, and StageError where
        a process was ended from outside."""
        waiting: dict[Future[Any], int] = {
            self._pool.submit(task): place for place, task in enumerate(tasks)
        }
        try:
            while waiting:
                ended, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in sorted(ended, key=waiting.__getitem__):
                    yield waiting.pop(future), future.result()
        except BrokenProcessPool:
            raise StageError(
                "a process of the benchmark was ended from outside (too little memory for so "
                "many?): run the same command again with fewer --jobs, it goes on"
            ) from None
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def crew(jobs: int) -> Iterator[Crew]:
    """So many processes, started when they are first needed."""
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin)
    try:
        yield Crew(pool)
    except BaseException:
        _end(pool)
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def alone(task: Task) -> Any:
    """What a task answers in a process that does nothing else, for what is said of its memory."""
    with crew(1) as one:
        (answer,) = (answer for _, answer in one.done([task]))
        return answer


def cores() -> int:
    """That this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


def _begin() -> None:
    import torch

    # Ctrl-C reaches every process of a terminal; only the first one decides what it means
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(1)


def _end(pool: ProcessPoolExecutor) -> None:
    """Nobody waits for what is at work: it is done again."""
    for process in list((getattr(pool, "_processes", None) or {}).values()):
        process.terminate()
