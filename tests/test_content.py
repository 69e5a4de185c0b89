"""Content hashes: change with the content alone, and remember without being fooled."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from slmkit.api import DataError
from slmkit.data import content
from slmkit.data.content import CACHE_FILE, content_hash, hash_json

LONG_AGO = 1_600_000_000


def write(path: Path, text: str, mtime: float | None = LONG_AGO) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if mtime is not None:
        os.utime(path, (mtime, mtime))
    return path


def test_the_content_counts_and_nothing_else(tmp_path: Path) -> None:
    one, two = write(tmp_path / "1", "same"), write(tmp_path / "2", "same", LONG_AGO + 5)
    assert content_hash(one) == content_hash(two)
    assert content_hash(write(tmp_path / "3", "other")) != content_hash(one)
    with pytest.raises(DataError, match="no such file or folder"):
        content_hash(tmp_path / "gone")


def test_a_folder_is_its_files_and_their_names(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name / "x" / "1.txt", "one")
        write(tmp_path / name / "2.txt", "two")
    first = content_hash(tmp_path / "a")
    assert content_hash(tmp_path / "b") == first
    write(tmp_path / "b" / ".2.txt.ab12.tmp", "of a writer at work")
    assert content_hash(tmp_path / "b") == first
    (tmp_path / "b" / "2.txt").rename(tmp_path / "b" / "3.txt")
    assert content_hash(tmp_path / "b") != first


def test_what_is_known_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, cache = write(tmp_path / "f", "text"), tmp_path / "cache"
    first = content_hash(file, cache)
    monkeypatch.setattr(content, "_hash_file", lambda file: "read again")
    assert content_hash(file, cache) == first
    assert content_hash(file) == "read again"
    write(file, "next", LONG_AGO + 1)
    assert content_hash(file, cache) == "read again"


def test_a_file_replaced_by_one_of_equal_size_and_time(tmp_path: Path) -> None:
    file, cache = write(tmp_path / "f", "one"), tmp_path / "cache"
    first = content_hash(file, cache)
    write(tmp_path / "g", "two").replace(file)
    assert content_hash(file, cache) != first


def test_a_fresh_file_is_not_remembered(tmp_path: Path) -> None:
    file, cache = write(tmp_path / "f", "one", None), tmp_path / "cache"
    content_hash(file, cache)
    assert not (cache / CACHE_FILE).exists()


def test_a_damaged_cache_costs_only_time(tmp_path: Path) -> None:
    file, cache = write(tmp_path / "f", "one"), tmp_path / "cache"
    first = content_hash(file, cache)
    memory = cache / CACHE_FILE
    memory.write_bytes(memory.read_bytes()[:-9] + b"\xff")
    assert content_hash(file, cache) == first
    assert content_hash(file, cache) == first
    assert len(content._remembered(memory)) == 1


def hash_all(folder: Path, cache: Path) -> None:
    for path in sorted(folder.iterdir()):
        content_hash(path, cache)


def test_many_processes_share_a_cache(tmp_path: Path) -> None:
    for i in range(40):
        write(tmp_path / "files" / str(i), "x" * i)
    work = (tmp_path / "files", tmp_path / "cache")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=hash_all, args=work) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    known = content._remembered(tmp_path / "cache" / CACHE_FILE)
    assert {Path(key[0]).name for key in known} == {str(i) for i in range(40)}
    assert all(content_hash(key[0]) == value for key, value in known.items())


def test_json_hashes() -> None:
    assert hash_json({"a": 1, "b": [1.5, None]}) == hash_json({"b": (1.5, None), "a": 1})
    assert hash_json({"a": 1}) != hash_json({"a": 1.0})
    assert hash_json(Path("x/y")) == hash_json("x/y")
    with pytest.raises(TypeError, match="set is no JSON value"):
        hash_json({1, 2})
