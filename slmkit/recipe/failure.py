"""How a stage failed, in the words that the person gets."""

from __future__ import annotations

import errno
import shutil
import traceback
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from slmkit.api import DiskFullError, SlmkitError, StageError
from slmkit.recipe.folder import size_of

LOG = "error.log"


def explained(
    error: BaseException, stage: str, folder: Path, in_use: Iterable[Path]
) -> SlmkitError:
    """The error to show for what a stage raised; the traceback goes to `error.log`.

    `in_use` are the folders of the recipe's stages: what lies beside them may be deleted.
    """
    if _is_full(error):
        return DiskFullError(_what_to_free(stage, folder, in_use))
    with suppress(OSError):
        (folder / LOG).write_text("".join(traceback.format_exception(error)))
    if isinstance(error, SlmkitError):
        return error
    words = str(error).strip().splitlines()
    reason = f"{type(error).__name__}: {words[0]}" if words else type(error).__name__
    return StageError(f"stage '{stage}' failed: {reason} (traceback in {folder / LOG})")


def is_interrupt(error: BaseException) -> bool:
    """Whether Ctrl-C is behind it: Lightning answers one with SystemExit."""
    if isinstance(error, Exception):
        return False
    return any(isinstance(each, KeyboardInterrupt) for each in _chain(error))


def _is_full(error: BaseException) -> bool:
    """Whether a full disk is behind it; libraries in C++ and Rust say so only in words."""
    full = (errno.ENOSPC, errno.EDQUOT)
    return any(
        isinstance(each, DiskFullError)
        or (isinstance(each, OSError) and each.errno in full)
        or "No space left on device" in str(each)
        for each in _chain(error)
    )


def _what_to_free(stage: str, folder: Path, in_use: Iterable[Path]) -> str:
    free = shutil.disk_usage(folder).free / 1e6
    used = {path.name for path in in_use}
    old = [f for f in folder.parent.iterdir() if f.is_dir() and f.name not in used]
    old.sort(key=size_of, reverse=True)
    advice = "free some room there"
    if old:
        listed = ", ".join(f"{f} ({size_of(f) / 1e6:.1f} MB)" for f in old[:3])
        advice += f", for example by deleting what this recipe no longer uses: {listed}"
    return (
        f"stage '{stage}' stopped: the disk that holds {folder} is full ({free:.1f} MB free); "
        f"{advice}; then run the same command again: it goes on where it stopped"
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it."""
    seen: list[BaseException] = []
    while error not in seen:
        yield error
        seen.append(error)
        error = error.__cause__ or error.__context__ or error
