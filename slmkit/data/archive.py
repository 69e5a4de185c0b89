"""Codes in one `.npz` file: for a handful of sounds, and for whoever has only numpy.

`numpy.load(file)["codes/ID"]` is int64 [k, t]; beside it lie `durations/ID` and `side/ID/NAME`
where there are any, and `header`, JSON that says what the codes are. It is written as a whole, so
that what it holds must fit in memory; a `TokenStore` has no such limit, and the same methods.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from slmkit.api import CodeSpec, DataError
from slmkit.data.atomic import write_atomically
from slmkit.data.shards import StoredCodes
from slmkit.data.store import check_kind, check_row

SUFFIX = ".npz"
VERSION = 1
_TEXTS = ("split", "speaker", "text", "role", "reply_to", "topic", "source")


class CodeArchive:
    """An `.npz` file of coded utterances; made by `create`, read by `open`."""

    def __init__(
        self,
        path: Path,
        spec: CodeSpec,
        fingerprint: str,
        made_by: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, self.spec, self.fingerprint, self.made_by = path, spec, fingerprint, made_by
        self._rows: dict[str, StoredCodes] = {}
        self._changed = False

    @classmethod
    def create(
        cls,
        path: Path | str,
        spec: CodeSpec,
        fingerprint: str,
        made_by: Mapping[str, Any] | None = None,
    ) -> CodeArchive:
        """Start an archive, or go on with the one that is there. Errors as `open`."""
        path = Path(path)
        if path.exists():
            return cls.open(path, spec, fingerprint)
        return cls(path, spec, fingerprint, made_by)

    @classmethod
    def open(
        cls, path: Path | str, spec: CodeSpec | None = None, fingerprint: str | None = None
    ) -> CodeArchive:
        """Read an archive, and hold it to a spec and a tokenizer's fingerprint where given.

        Raises DataError where there is none, or where it is of another kind.
        """
        path = Path(path)
        if not path.exists():
            raise DataError(f"{path}: no such archive of codes")
        try:
            with np.load(path, allow_pickle=False) as held:
                arrays = {name: held[name] for name in held.files}
            header = json.loads(str(arrays["header"]))
            version = header["version"]
            archive = cls(
                path,
                CodeSpec.from_dict(header["spec"]),
                header["fingerprint"],
                header["made_by"],
            )
            archive._rows = {id: _row(id, texts, arrays) for id, texts in header["rows"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, BadZipFile) as error:
            raise DataError(f"{path}: not an archive of codes: {error!r}") from error
        if version != VERSION:
            raise DataError(
                f"{path}: an archive of version {version}, this slmkit reads {VERSION}: encode the "
                f"sounds again"
            )
        check_kind(archive, spec, fingerprint)
        return archive

    def ids(self) -> set[str]:
        """The ids of all rows that are written."""
        return set(self._rows)

    def sources(self) -> dict[str, str | None]:
        """The hash of the sound that each row was made of, by id."""
        return {id: row.source for id, row in self._rows.items()}

    def rows(self) -> Iterator[StoredCodes]:
        """All rows in the order in which they were written."""
        yield from self._rows.values()

    def drop(self, ids: Collection[str]) -> None:
        """Take rows out; the file changes with the next `writer`."""
        for id in ids:
            self._changed |= self._rows.pop(id, None) is not None

    @contextmanager
    def writer(self) -> Iterator[ArchiveWriter]:
        """Append rows; they are on disk when the block is left, also by an exception or Ctrl-C."""
        writer = ArchiveWriter(self)
        try:
            yield writer
        finally:
            writer.flush()


class ArchiveWriter:
    """Collects rows; got from `CodeArchive.writer`."""

    def __init__(self, archive: CodeArchive) -> None:
        self._archive = archive

    def add(self, row: StoredCodes) -> None:
        """Append a row. Raises DataError for an id that is there, or codes that do not fit."""
        check_row(row, self._archive.spec, self._archive.folder, self._archive._rows)
        self._archive._rows[row.id] = row
        self._archive._changed = True

    def flush(self) -> None:
        """Write the file anew, whole, if there is something new."""
        archive = self._archive
        if not archive._changed:
            return
        arrays: dict[str, Any] = {}
        for id, row in archive._rows.items():
            arrays[f"codes/{id}"] = row.codes
            if row.durations is not None:
                arrays[f"durations/{id}"] = row.durations
            arrays |= {f"side/{id}/{name}": array for name, array in row.side.items()}
        header = {
            "version": VERSION,
            "spec": archive.spec.to_dict(),
            "fingerprint": archive.fingerprint,
            "made_by": None if archive.made_by is None else dict(archive.made_by),
            "rows": {
                id: {name: getattr(row, name) for name in _TEXTS}
                | {"side": sorted(row.side), "merged": row.durations is not None}
                for id, row in archive._rows.items()
            },
        }
        sink = io.BytesIO()
        np.savez_compressed(sink, header=np.array(json.dumps(header)), **arrays)
        write_atomically(archive.folder, sink.getbuffer())
        archive._changed = False


def _row(id: str, texts: Mapping[str, Any], arrays: Mapping[str, Any]) -> StoredCodes:
    return StoredCodes(
        id,
        arrays[f"codes/{id}"],
        **{name: texts[name] for name in _TEXTS},
        durations=arrays[f"durations/{id}"] if texts["merged"] else None,
        side={name: arrays[f"side/{id}/{name}"] for name in texts["side"]},
    )
