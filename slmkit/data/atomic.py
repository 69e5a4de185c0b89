"""Files that are there whole or not at all, and a full disk told in one line."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from slmkit.api import DiskFullError, StageError

TEMPORARY = ".tmp"
_FULL = {errno.ENOSPC, errno.EDQUOT}


def write_atomically(path: Path, data: bytes | memoryview, durable: bool = True) -> None:
    """Put `data` at `path`, replacing what was there in one step.

    A reader, and whoever comes after a kill, sees the old file or the new one, never a part. With
    `durable` that holds for a power cut as well (fsync of file and folder: some milliseconds).
    Raises StageError where the disk is full or the place cannot be written to, and then leaves
    nothing behind.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        beside.replace(path)
        if durable:
            _sync_folder(path.parent)
    except OSError as error:
        _remove(beside)
        if error.errno in _FULL:
            raise full_disk(path, len(data)) from error
        raise StageError(f"{path}: cannot be written: {error.strerror or error}") from error
    except BaseException:
        _remove(beside)
        raise


def full_disk(path: Path, needed: int) -> DiskFullError:
    """The error for a disk that has no room for `needed` bytes more at `path`."""
    place = next(p for p in path.absolute().parents if p.exists())
    free = shutil.disk_usage(place).free
    return DiskFullError(
        f"{path}: the disk that holds {place} is full ({megabytes(free)} free, at least "
        f"{megabytes(needed)} needed): free some room there, for example old folders of runs/, "
        f"and run the same command again; what is already written stays valid"
    )


def megabytes(count: int) -> str:
    """A number of bytes for people."""
    return f"{count / 1e6:.1f} MB"


def clear_leftovers(folder: Path) -> None:
    """Remove what killed writers left in a folder that nobody else is writing to."""
    for path in folder.glob(f".*{TEMPORARY}"):
        path.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    with suppress(OSError):  # what made writing fail may forbid this too; it is no news then
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
