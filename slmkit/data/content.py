"""Hashes of what files and values hold, for fingerprints.

A file's hash is remembered in the cache by path, size, mtime, and inode, so that an unchanged
gigabyte is not read again. As in git's index, a file that changed within the last moments is not
remembered: a second change within the same tick of the clock could not be told from the first.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from slmkit.api import DataError
from slmkit.data.atomic import TEMPORARY

CACHE_FILE = "content-hashes.jsonl"
SETTLED_S = 2.0
_SIZE = 16


def content_hash(path: Path | str, cache: Path | None = None) -> str:
    """32 hexadecimal digits that change with the content of a file, or of any file in a folder.

    Of a folder the relative names count as well; times and owners never do. `cache` is a folder
    in which hashes are remembered; several processes may use it at once. Raises DataError where
    nothing is there, or it cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix != TEMPORARY)
    elif path.is_file():
        files = [path]
    else:
        raise DataError(f"{path}: no such file or folder")
    try:
        memory = None if cache is None else cache / CACHE_FILE
        hashes = _hashes(files, memory, _remembered(memory))
    except OSError as error:
        raise DataError(f"{error.filename or path}: cannot be read: {error.strerror}") from error
    if path.is_file():
        return hashes[0]
    names = [file.relative_to(path).as_posix() for file in files]
    return hash_json(list(zip(names, hashes, strict=True)))


class ContentHashes:
    """The hashes of many files, remembered in the folder `cache` if there is to be one."""

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = None if cache is None else cache / CACHE_FILE
        self._known = _remembered(self._cache)

    def of(self, files: Iterable[Path]) -> dict[Path, str]:
        """The hash of each file.

        Files that cannot be read are left out: whoever reads them next will say why.
        """
        readable = [f for f in dict.fromkeys(files) if f.is_file() and os.access(f, os.R_OK)]
        return dict(zip(readable, _hashes(readable, self._cache, self._known), strict=True))


def hash_json(value: Any) -> str:
    """32 hexadecimal digits of a JSON value; the order of keys does not count, paths are text.

    Raises TypeError for what JSON cannot hold.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.blake2b(text.encode(), digest_size=_SIZE).hexdigest()


def _hashes(files: list[Path], cache: Path | None, remembered: dict[Key, str]) -> list[str]:
    found: list[str] = []
    new: list[str] = []
    for file in files:
        key = _key(file)
        value = remembered.get(key)
        if value is None:
            started = time.time()
            value = _hash_file(file)
            if _key(file) == key and file.stat().st_mtime < started - SETTLED_S:
                remembered[key] = value
                new.append(json.dumps([*key, value]) + "\n")
        found.append(value)
    if cache is not None and new:
        _remember(cache, new)
    return found


Key = tuple[str, int, int, int]


def _key(file: Path) -> Key:
    status = file.stat()
    return os.path.abspath(file), status.st_size, status.st_mtime_ns, status.st_ino


def _hash_file(file: Path) -> str:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=_SIZE))
    return str(digest.hexdigest())


def _remembered(cache: Path | None) -> dict[Key, str]:
    if cache is None or not cache.exists():
        return {}
    known: dict[Key, str] = {}
    for line in cache.read_text(errors="replace").splitlines():
        try:
            name, size, mtime, inode, value = json.loads(line)
        except ValueError:
            continue  # a line cut off by a kill or a full disk: its file is hashed again
        known[name, size, mtime, inode] = value
    return known


def _remember(cache: Path, lines: list[str]) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    with cache.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        # The first line break ends what a killed process may have left unfinished.
        stream.write("\n" + "".join(lines))


def _plain(value: Any) -> str:
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    raise TypeError(f"{type(value).__name__} is no JSON value: {value!r}")
