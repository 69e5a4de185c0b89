"""Rows of the token store and the Parquet shards that hold them.

Letters: k (codebook), t (frame).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from slmkit.api import Codes, CodeSpec, DataError, Utterance
from slmkit.data.atomic import write_atomically

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        ("split", pa.string()),
        ("speaker", pa.string()),
        ("text", pa.string()),
        ("role", pa.string()),
        ("reply_to", pa.string()),
        ("topic", pa.string()),
        ("codes", pa.list_(pa.list_(pa.int32()))),
        ("durations", pa.list_(pa.int32())),
        ("frames", pa.int32()),
        ("source", pa.string()),
        (
            "side",
            pa.list_(
                pa.struct(
                    [
                        ("name", pa.string()),
                        ("shape", pa.list_(pa.int32())),
                        ("values", pa.list_(pa.float32())),
                    ]
                )
            ),
        ),
    ]
)
_FIELDS = ("id", "split", "speaker", "text", "role", "reply_to", "topic", "source")
LATER = ("source", "side")
"""Columns that the first stores did not have; they read as nothing."""


@dataclass(frozen=True, eq=False)
class StoredCodes:
    """A row of the store: the codes int64 [k, t] of one utterance and what is known about it.

    `durations`, int64 [t], says how many frames each deduplicated unit stands for; `side` holds
    float32 arrays that a decoder needs beside the codes, and `source` a hash of the sound.
    """

    id: str
    codes: NDArray[np.int64]
    split: str = "train"
    speaker: str | None = None
    text: str | None = None
    role: str | None = None
    reply_to: str | None = None
    topic: str | None = None
    durations: NDArray[np.int64] | None = None
    source: str | None = None
    side: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """Number of frames (of units, where deduplicated)."""
        return int(self.codes.shape[1])

    @classmethod
    def of(cls, utterance: Utterance, codes: Codes, source: str | None = None) -> StoredCodes:
        """The row of an utterance whose codes are the only row of `codes`, padded or not."""
        if len(codes) != 1:
            raise ValueError(f"expected the codes of one utterance, got {len(codes)}")
        row = codes.row(0)
        return cls(
            **{name: getattr(utterance, name) for name in _FIELDS if name != "source"},
            source=source,
            side={name: tensor[0].cpu().float().numpy() for name, tensor in row.side.items()},
            codes=row.values[0].cpu().numpy(),
            durations=None if row.durations is None else row.durations[0].cpu().numpy(),
        )

    def alone(self, spec: CodeSpec) -> Codes:
        """As a batch of one, [1, k, t]: the inverse of `of`."""
        import torch

        return Codes(
            torch.from_numpy(self.codes.astype(np.int64))[None],
            torch.tensor([self.frames]),
            spec,
            None if self.durations is None else torch.from_numpy(self.durations.copy())[None],
            {name: torch.from_numpy(array.copy())[None] for name, array in self.side.items()},
        )


def write_shard(shard: Path, rows: Sequence[StoredCodes]) -> None:
    """Write rows as one file, whole or not at all. Raises StageError where the disk is full."""
    sink = io.BytesIO()
    pq.write_table(_table_of(rows), sink, compression="zstd")
    write_atomically(shard, sink.getbuffer())


def read_shard(shard: Path, columns: list[str] | None = None) -> pa.Table:
    """The table of a shard, or some of its columns. Raises DataError where it is damaged."""
    try:
        with pq.ParquetFile(shard) as file:
            known = file.schema_arrow.names
            wanted = None if columns is None else [name for name in columns if name in known]
            table = file.read(columns=wanted)
            for name in LATER:
                if name not in known and (columns is None or name in columns):
                    nothing = pa.nulls(table.num_rows, SCHEMA.field(name).type)
                    table = table.append_column(name, nothing)
            return table
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(
            f"{shard}: this shard is damaged ({str(error).splitlines()[0]}): delete it and run "
            f"the stage again, which makes its rows anew"
        ) from error


def _table_of(rows: Sequence[StoredCodes]) -> pa.Table:
    columns: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in _FIELDS}
    columns["codes"] = [list(row.codes.astype(np.int32)) for row in rows]
    columns["durations"] = [
        None if row.durations is None else row.durations.astype(np.int32) for row in rows
    ]
    columns["frames"] = [row.frames for row in rows]
    columns["side"] = [
        [
            {"name": name, "shape": array.shape, "values": array.astype(np.float32).ravel()}
            for name, array in row.side.items()
        ]
        for row in rows
    ]
    return pa.table(columns, schema=SCHEMA)


def rows_of(table: pa.Table) -> list[StoredCodes]:
    """The rows of a table with the columns of `SCHEMA`."""
    fields: Mapping[str, list[Any]] = {name: table[name].to_pylist() for name in _FIELDS}
    codes, durations, side = table["codes"], table["durations"], table["side"].to_pylist()
    return [
        StoredCodes(
            **{name: fields[name][index] for name in _FIELDS},
            codes=_matrix(codes[index].values),
            durations=_vector(durations[index].values),
            side={
                each["name"]: np.array(each["values"], np.float32).reshape(each["shape"])
                for each in side[index] or ()
            },
        )
        for index in range(table.num_rows)
    ]


def _matrix(books: pa.ListArray) -> NDArray[np.int64]:
    flat: NDArray[np.int64] = books.flatten().to_numpy(zero_copy_only=False).astype(np.int64)
    return flat.reshape(len(books), -1)


def _vector(values: pa.Array | None) -> NDArray[np.int64] | None:
    return None if values is None else values.to_numpy(zero_copy_only=False).astype(np.int64)
