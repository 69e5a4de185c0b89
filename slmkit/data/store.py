"""The token store: coded utterances in a folder of Parquet shards.

pandas, DuckDB, Ray, Spark, Hugging Face datasets and `pyarrow.dataset.dataset(folder)` read the
folder as it is: the header's and the lock's names begin with an underscore, which they all leave
out. Shards appear whole or not at all, so that a killed writer loses at most the rows of its
last shard; `ids()` says which utterances need not be made again.

Letters: k (codebook), t (frame).
"""

from __future__ import annotations

import fcntl
import json
from collections import OrderedDict
from collections.abc import Collection, Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from slmkit.api import CodeSpec, DataError, StageError
from slmkit.data.atomic import clear_leftovers, write_atomically
from slmkit.data.shards import StoredCodes, read_shard, rows_of, write_shard

__all__ = ["StoreWriter", "StoredCodes", "TokenStore"]

HEADER = "_header.json"
LOCK = "_lock"
VERSION = 1
_CACHED_SHARDS = 16


class TokenStore:
    """A folder of coded utterances; made by `create`, read by `open`."""

    def __init__(
        self,
        folder: Path,
        spec: CodeSpec,
        fingerprint: str,
        made_by: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, self.spec, self.fingerprint = folder, spec, fingerprint
        self.made_by = made_by
        self._places: dict[str, tuple[Path, int]] = {}
        self._indexed: set[Path] = set()
        self._tables: OrderedDict[Path, pa.Table] = OrderedDict()

    @classmethod
    def create(
        cls,
        folder: Path | str,
        spec: CodeSpec,
        fingerprint: str,
        made_by: Mapping[str, Any] | None = None,
    ) -> TokenStore:
        """Start a store, or go on with the one that is there if it is of the same tokenizer.

        `made_by`, plain JSON, says what it takes to build the tokenizer again. Raises DataError
        where the store is of another spec or fingerprint.
        """
        folder = Path(folder)
        if (folder / HEADER).exists():
            return cls.open(folder, spec, fingerprint)
        header: dict[str, Any] = {
            "version": VERSION,
            "spec": spec.to_dict(),
            "fingerprint": fingerprint,
        }
        if made_by is not None:
            header["made_by"] = dict(made_by)
        write_atomically(folder / HEADER, (json.dumps(header, indent=1) + "\n").encode())
        return cls(folder, spec, fingerprint, made_by)

    @classmethod
    def open(
        cls, folder: Path | str, spec: CodeSpec | None = None, fingerprint: str | None = None
    ) -> TokenStore:
        """Open a store, and hold it to a spec and a tokenizer's fingerprint where given.

        Raises DataError where there is none, or where it is of another kind.
        """
        folder = Path(folder)
        try:
            header = json.loads((folder / HEADER).read_text())
            version = header["version"]
            spec_found = CodeSpec.from_dict(header["spec"])
            found = cls(folder, spec_found, header["fingerprint"], header.get("made_by"))
        except FileNotFoundError:
            raise DataError(f"{folder}: no token store here ({HEADER} is missing)") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{folder / HEADER}: not a token store's header: {error!r}") from error
        if version != VERSION:
            raise DataError(
                f"{folder}: a token store of version {version}, this slmkit reads {VERSION}: "
                f"delete the folder and run the stage again"
            )
        check_kind(found, spec, fingerprint)
        return found

    def ids(self) -> set[str]:
        """The ids of all rows that are written."""
        self._index()
        return set(self._places)

    def sources(self) -> dict[str, str | None]:
        """The hash of the sound that each row was made of, by id; None where nobody noted it."""
        found: dict[str, str | None] = {}
        for shard in self._shards():
            table = read_shard(shard, ["id", "source"])
            found.update(zip(table["id"].to_pylist(), table["source"].to_pylist(), strict=True))
        return found

    def drop(self, ids: Collection[str]) -> None:
        """Take rows out, a shard at a time. Raises StageError where another process writes."""
        with _locked(self.folder / LOCK):
            for shard in self._shards():
                table = read_shard(shard)
                gone = pc.is_in(table["id"], pa.array(list(ids), pa.string()))
                kept = table.filter(pc.invert(gone))
                if kept.num_rows == 0:
                    shard.unlink()
                elif kept.num_rows < table.num_rows:
                    write_shard(shard, rows_of(kept))
        self._places.clear()
        self._indexed.clear()
        self._tables.clear()

    def __len__(self) -> int:
        self._index()
        return len(self._places)

    def __contains__(self, id: object) -> bool:
        self._index()
        return id in self._places

    def row(self, id: str) -> StoredCodes:
        """One row. Raises DataError for an unknown id."""
        if id not in self._places and id not in self:
            raise DataError(f"{self.folder}: no utterance '{id}' in this token store")
        shard, index = self._places[id]
        return rows_of(self._table(shard).slice(index, 1))[0]

    def rows(self) -> Iterator[StoredCodes]:
        """All rows in the order in which they were written, a shard in memory at a time."""
        return self.select()

    def select(
        self,
        split: str | Collection[str] | None = None,
        role: str | Collection[str] | None = None,
        topic: str | Collection[str] | None = None,
        speaker: str | Collection[str] | None = None,
    ) -> Iterator[StoredCodes]:
        """The rows whose fields have the given values, or one of them; in the order written."""
        wanted = {"split": split, "role": role, "topic": topic, "speaker": speaker}
        for shard in self._shards():
            table = read_shard(shard)
            for name, values in wanted.items():
                if values is not None:
                    choices = [values] if isinstance(values, str) else list(values)
                    table = table.filter(pc.is_in(table[name], pa.array(choices, pa.string())))
            yield from rows_of(table)

    @contextmanager
    def writer(self, rows_per_shard: int = 1000) -> Iterator[StoreWriter]:
        """Append rows: `with store.writer() as writer: writer.add(row)`.

        What was added is on disk when the block is left, also by an exception or Ctrl-C. Raises
        StageError where another process is writing, or the disk is full (the rows of finished
        shards stay readable).
        """
        with _locked(self.folder / LOCK):
            clear_leftovers(self.folder)
            with StoreWriter(self, rows_per_shard) as writer:
                yield writer

    def _shards(self) -> list[Path]:
        return sorted(self.folder.glob("part-*.parquet"))

    def _index(self) -> None:
        for shard in self._shards():
            if shard not in self._indexed:
                ids = read_shard(shard, ["id"])["id"].to_pylist()
                for index, id in enumerate(ids):
                    if id in self._places:
                        raise DataError(
                            f"{shard}: '{id}' stands in {self._places[id][0].name} already: "
                            f"delete one of the two files and run the stage again"
                        )
                    self._places[id] = (shard, index)
                self._indexed.add(shard)

    def _table(self, shard: Path) -> pa.Table:
        if shard not in self._tables:
            self._tables[shard] = read_shard(shard)
            if len(self._tables) > _CACHED_SHARDS:
                self._tables.popitem(last=False)
        self._tables.move_to_end(shard)
        return self._tables[shard]


class StoreWriter:
    """Collects rows and writes them shard by shard; got from `TokenStore.writer`."""

    def __init__(self, store: TokenStore, rows_per_shard: int) -> None:
        self._store = store
        self._rows_per_shard = rows_per_shard
        self._pending: list[StoredCodes] = []
        self._known = store.ids()
        self._next = 1 + max((int(p.stem.split("-")[1]) for p in store._shards()), default=-1)

    def add(self, row: StoredCodes) -> None:
        """Append a row. Raises DataError for an id that is there, or codes that do not fit."""
        check_row(row, self._store.spec, self._store.folder, self._known)
        self._known.add(row.id)
        self._pending.append(row)
        if len(self._pending) >= self._rows_per_shard:
            self.flush()

    def flush(self) -> None:
        """Write what was added as a shard of its own."""
        if not self._pending:
            return
        # What cannot be written now is not tried again when the block is left.
        rows, self._pending = self._pending, []
        write_shard(self._store.folder / f"part-{self._next:05d}.parquet", rows)
        self._next += 1

    def __enter__(self) -> StoreWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.flush()


class Kept(Protocol):
    """Where codes are kept: a `TokenStore`, or a `slmkit.data.archive.CodeArchive`."""

    folder: Path
    spec: CodeSpec
    fingerprint: str


def check_kind(kept: Kept, spec: CodeSpec | None, fingerprint: str | None) -> None:
    """Raise DataError where kept codes are of another spec or tokenizer than is wanted."""
    if spec is not None and spec != kept.spec:
        raise DataError(f"{kept.folder}: these codes are of another kind: {kept.spec.unlike(spec)}")
    if fingerprint is not None and fingerprint != kept.fingerprint:
        raise DataError(
            f"{kept.folder}: these codes come from another tokenizer (fingerprint "
            f"{kept.fingerprint}, wanted {fingerprint}): use another place or delete this one"
        )


def check_row(row: StoredCodes, spec: CodeSpec, place: Path, known: Container[str] = ()) -> None:
    """Raise DataError for an id that is known already, or codes that do not fit their spec."""
    if row.id in known:
        raise DataError(f"{place}: utterance '{row.id}' is in this token store already")
    if row.codes.ndim != 2 or row.codes.shape[0] != spec.codebooks:
        raise DataError(
            f"{place}: codes {list(row.codes.shape)} of '{row.id}' do not fit "
            f"[{spec.codebooks}, frames]"
        )
    sizes = np.array(spec.codebook_sizes)[:, None]
    if ((row.codes < 0) | (row.codes >= sizes)).any():
        raise DataError(
            f"{place}: codes of '{row.id}' lie outside codebooks of {spec.codebook_sizes}"
        )
    if row.durations is not None and row.durations.shape != (row.frames,):
        raise DataError(
            f"{place}: '{row.id}' has {row.frames} frames but durations of shape "
            f"{list(row.durations.shape)}"
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that the system takes back whatever becomes of the process."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StageError(
                f"{path.parent}: another process is writing to this token store: wait for it"
            ) from None
        yield
