"""The token store: exact, resumable after a kill, readable after a full disk, and by strangers."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.dataset
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from slmkit.api import CodeSpec, DataError, StageError, Utterance
from slmkit.data import atomic
from slmkit.data.store import StoredCodes, TokenStore

SPEC = CodeSpec(16000, 320, (500, 100))


def make_row(index: int, frames: int = 7, **fields: object) -> StoredCodes:
    codes = np.random.default_rng(index).integers(0, 100, (2, frames))
    return StoredCodes(f"u{index}", codes, **fields)  # type: ignore[arg-type]


def fill(store: TokenStore, count: int, rows_per_shard: int = 4) -> list[StoredCodes]:
    rows = [make_row(i, frames=i % 5 + 1, split="dev" if i % 3 else "train") for i in range(count)]
    with store.writer(rows_per_shard) as writer:
        for row in rows:
            writer.add(row)
    return rows


def assert_same(found: StoredCodes, row: StoredCodes) -> None:
    np.testing.assert_array_equal(found.codes, row.codes)
    assert found.codes.dtype == np.int64
    if row.durations is None:
        assert found.durations is None
    else:
        np.testing.assert_array_equal(found.durations, row.durations)
    for name in ("id", "split", "speaker", "text", "role", "reply_to", "topic"):
        assert getattr(found, name) == getattr(row, name)


texts = st.none() | st.text(st.characters(exclude_categories=("Cs",)), max_size=12)


@st.composite
def stored_rows(draw: st.DrawFn) -> StoredCodes:
    frames = draw(st.integers(0, 9))
    codes = draw(arrays.arrays(np.int64, (2, frames), elements=st.integers(0, 99)))
    durations = draw(st.none() | arrays.arrays(np.int64, (frames,), elements=st.integers(1, 10**6)))
    fields = {n: draw(texts) for n in ("speaker", "text", "role", "reply_to", "topic")}
    return StoredCodes("x", codes, draw(st.text("ab", min_size=1)), **fields, durations=durations)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(stored_rows(), min_size=1, max_size=6), per_shard=st.integers(1, 4))
def test_rows_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, rows: list[StoredCodes], per_shard: int
) -> None:
    rows = [replace(row, id=f"u{i}") for i, row in enumerate(rows)]
    store = TokenStore.create(tmp_path_factory.mktemp("store"), SPEC, "f")
    with store.writer(per_shard) as writer:
        for row in rows:
            writer.add(row)
    reopened = TokenStore.open(store.folder, SPEC, "f")
    for found, row in zip(reopened.rows(), rows, strict=True):
        assert_same(found, row)
        assert_same(reopened.row(row.id), row)


def test_selecting_by_fields(tmp_path: Path) -> None:
    store = TokenStore.create(tmp_path, SPEC, "f")
    with store.writer(2) as writer:
        for i, role in enumerate(["question", "answer", None, "words", "answer"]):
            writer.add(make_row(i, role=role, split="dev" if i == 4 else "train"))
    assert [r.id for r in store.select(role="answer")] == ["u1", "u4"]
    assert [r.id for r in store.select(role=("answer", "words"), split="train")] == ["u1", "u3"]
    assert list(store.select(topic="sum")) == []
    assert len(store) == 5


def test_a_row_of_an_utterance_and_its_codes(tmp_path: Path) -> None:
    import torch

    from slmkit.api import Codes

    spec = CodeSpec(16000, 320, (10,))
    codes = Codes(torch.tensor([[[1, 1, 2, 0, 0]]]), torch.tensor([3]), spec).deduplicate()
    utterance = Utterance("a", text="hi", speaker="s", split="dev", role="read", topic="t")
    row = StoredCodes.of(utterance, codes)
    assert row.codes.tolist() == [[1, 2]]
    assert row.durations is not None
    assert row.durations.tolist() == [2, 1]
    assert (row.id, row.text, row.speaker, row.split) == ("a", "hi", "s", "dev")


def test_strangers_read_the_folder(tmp_path: Path) -> None:
    store = TokenStore.create(tmp_path, SPEC, "f")
    rows = fill(store, 9)
    table = pyarrow.dataset.dataset(tmp_path, format="parquet").to_table()
    assert table["id"].to_pylist() == [row.id for row in rows]
    assert table["codes"].to_pylist() == [row.codes.tolist() for row in rows]
    assert table["frames"].to_pylist() == [row.frames for row in rows]
    # What pandas.read_parquet(folder) calls:
    assert pyarrow.parquet.read_table(tmp_path)["id"].to_pylist() == [row.id for row in rows]


def test_a_store_of_something_else_is_refused(tmp_path: Path) -> None:
    TokenStore.create(tmp_path, SPEC, "one")
    with pytest.raises(DataError, match=r"another tokenizer.*one.*two"):
        TokenStore.open(tmp_path, SPEC, "two")
    other = CodeSpec(16000, 160, (500, 100))
    with pytest.raises(DataError, match="hop_length 320, wanted 160"):
        TokenStore.create(tmp_path, other, "one")
    with pytest.raises(DataError, match="no token store here"):
        TokenStore.open(tmp_path / "elsewhere")
    header = tmp_path / "_header.json"
    header.write_text(json.dumps({**json.loads(header.read_text()), "version": 99}))
    with pytest.raises(DataError, match="version 99"):
        TokenStore.open(tmp_path)
    header.write_text("{")
    with pytest.raises(DataError, match="not a token store's header"):
        TokenStore.open(tmp_path)


def test_rows_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    store = TokenStore.create(tmp_path, SPEC, "f")
    fill(store, 3, rows_per_shard=2)
    bad = [
        (make_row(1), "in this token store already"),
        (StoredCodes("x", np.zeros((3, 4), np.int64)), r"codes \[3, 4\] of 'x' do not fit \[2"),
        (StoredCodes("x", np.full((2, 4), 100)), "outside codebooks"),
        (StoredCodes("x", np.full((2, 4), -1)), "outside codebooks"),
        (StoredCodes("x", np.zeros((2, 4), int), durations=np.ones(3, int)), "durations of shape"),
    ]
    with store.writer() as writer:
        writer.add(make_row(7))
        for row, message in [*bad, (make_row(7), "already")]:
            with pytest.raises(DataError, match=message):
                writer.add(row)
    assert TokenStore.open(tmp_path).ids() == {"u0", "u1", "u2", "u7"}
    with pytest.raises(DataError, match="no utterance 'u9'"):
        store.row("u9")


def test_an_exception_keeps_what_was_added(tmp_path: Path) -> None:
    store = TokenStore.create(tmp_path, SPEC, "f")

    def interrupted() -> None:
        with store.writer() as writer:
            writer.add(make_row(0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert TokenStore.open(tmp_path).ids() == {"u0"}


def test_only_one_process_writes(tmp_path: Path) -> None:
    store = TokenStore.create(tmp_path, SPEC, "f")
    with store.writer(), pytest.raises(StageError, match="another process is writing"):
        fill(TokenStore.open(tmp_path), 1)
    fill(TokenStore.open(tmp_path), 1)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    store = TokenStore.create(tmp_path, SPEC, "f")
    fill(store, 9)
    shard = tmp_path / "part-00001.parquet"
    shard.write_bytes(shard.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"part-00001.parquet: this shard is damaged.*delete it"):
        TokenStore.open(tmp_path).ids()
    shard.unlink()
    fill_again = TokenStore.create(tmp_path, SPEC, "f")
    missing = {f"u{i}" for i in range(9)} - fill_again.ids()
    assert missing == {"u4", "u5", "u6", "u7"}
    with fill_again.writer() as writer:
        for id in sorted(missing):
            writer.add(make_row(int(id[1:])))
    assert len(list(fill_again.rows())) == 9


WRITER = """
    import sys
    import numpy as np
    from slmkit.api import CodeSpec
    from slmkit.data.store import StoredCodes, TokenStore

    store = TokenStore.create(sys.argv[1], CodeSpec(16000, 320, (500, 100)), "f")
    done = store.ids()
    with store.writer(rows_per_shard=3) as writer:
        for i in range(400):
            if f"u{i}" not in done:
                codes = np.random.default_rng(i).integers(0, 100, (2, 200))
                writer.add(StoredCodes(f"u{i}", codes))
"""


def test_a_killed_writer_leaves_no_torn_and_no_double_row(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(tmp_path)]
    kills = 0
    for enough in (1, 7, 20):
        process = subprocess.Popen(command)
        while len(list(tmp_path.glob("part-*"))) < enough and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
        found = [row.id for row in TokenStore.open(tmp_path).rows()]
        assert found == [f"u{i}" for i in range(len(found))]
        assert len(found) >= 3 * enough
    assert kills
    subprocess.run(command, check=True)
    rows = list(TokenStore.open(tmp_path).rows())
    assert [row.id for row in rows] == [f"u{i}" for i in range(400)]
    for i, row in enumerate(rows):
        expected = np.random.default_rng(i).integers(0, 100, (2, 200))
        np.testing.assert_array_equal(row.codes, expected)
    assert not list(tmp_path.glob(".*.tmp"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 kB, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", place], capture_output=True
    )
    if mount.returncode:
        pytest.skip("may not mount a small disk here")
    yield place
    subprocess.run(["umount", place], check=True)


@pytest.mark.mount
def test_a_full_disk_leaves_the_store_readable(small_disk: Path) -> None:
    store = TokenStore.create(small_disk / "store", SPEC, "f")
    with pytest.raises(StageError, match=r"full \(.* MB free, at least .* MB needed\): free"):
        fill(store, 5000, rows_per_shard=10)
    found = [row.id for row in TokenStore.open(store.folder).rows()]
    assert found == [f"u{i}" for i in range(len(found))]
    assert 10 <= len(found) < 5000
    assert len(found) % 10 == 0
    assert sorted(p.name[:5] for p in store.folder.iterdir() if p.suffix != ".parquet") == [
        "_head",
        "_lock",
    ]


def test_a_full_disk_found_at_the_last_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = TokenStore.create(tmp_path, SPEC, "f")
    fill(store, 4)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(StageError, match="full"), store.writer() as writer:
        writer.add(make_row(100))
    monkeypatch.undo()
    assert len(TokenStore.open(tmp_path)) == 4
    assert not list(tmp_path.glob(".*"))
