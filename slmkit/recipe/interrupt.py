"""Ctrl-C ends a program within seconds, also in the middle of a long computation.

Python runs its own handler only between two bytecodes, so that a fit or a kernel which takes
minutes would hold it up. The signal's number, however, is written to a pipe at once; a thread
that reads the pipe gives the program a moment to end by itself and then ends it. Nothing is lost:
a run's files are whole after any kill.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_S = 3.5


@contextmanager
def ending_in_time(exit_code: int, patience: float = PATIENCE_S) -> Iterator[None]:
    """Let Ctrl-C end the process with this code after `patience` seconds, if nothing else has.

    For programs alone: only the main thread may ask for it, and a notebook would lose its kernel.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    over = threading.Event()

    def guard() -> None:
        while byte := os.read(reader, 1):
            if byte[0] == signal.SIGINT and not over.wait(patience):
                sys.stderr.write("interrupted; run the same command again: it goes on\n")
                sys.stderr.flush()
                os._exit(exit_code)

    thread = threading.Thread(target=guard, name="interrupt", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        os.close(writer)
        thread.join()
        os.close(reader)
