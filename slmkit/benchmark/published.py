"""Figures as others published them: shown beside measured rows, and never ranked with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("published.yaml")


@dataclass(frozen=True)
class Published:
    """A table of a paper: metrics as (name, unit, direction), rows as (name, selection, values)."""

    title: str
    source: str
    note: str
    metrics: Sequence[tuple[str, str, str]]
    rows: Sequence[tuple[str, str, Sequence[float | None]]]


def published(file: Path = FILE) -> Published:
    """The published table. Raises ValueError for a row that does not fill the columns."""
    import yaml

    values: dict[str, Any] = yaml.safe_load(file.read_text())
    metrics = [(m["name"], m["unit"], m["direction"]) for m in values["metrics"]]
    rows = [(row["name"], row["selection"], row["values"]) for row in values["rows"]]
    wrong = [row[0] for row in rows if len(row[2]) != len(metrics)]
    if wrong:
        raise ValueError(f"{file}: {wrong[0]}: not a value for each of {len(metrics)} metrics")
    return Published(values["title"], values["source"], values["note"].strip(), metrics, rows)
