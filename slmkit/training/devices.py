"""Training on several devices of one machine.

For every device but the first Lightning starts the whole command again. Such a helper must enter
the very training that called for it and do nothing else: the leader tells it which, by the
environment, and goes on alone when the training is over.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

STAGE = "SLMKIT_STAGE"
TRAINING = "SLMKIT_TRAINING"
OF_LIGHTNING = ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


def helps() -> bool:
    """Whether this process was started to help another with a training."""
    return STAGE in os.environ and os.environ.get("LOCAL_RANK", "0") != "0"


def helped_stage() -> str:
    """The stage that a helper is to enter."""
    return os.environ[STAGE]


@contextmanager
def announced(what: str, name: str) -> Iterator[None]:
    """Tell helpers that are started meanwhile which `STAGE` or `TRAINING` to enter."""
    os.environ[what] = name
    try:
        yield
    finally:
        os.environ.pop(what, None)


def disband() -> None:
    """Leave the group of processes, so that the leader can work alone and train again."""
    import torch.distributed

    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    for name in OF_LIGHTNING:
        os.environ.pop(name, None)
