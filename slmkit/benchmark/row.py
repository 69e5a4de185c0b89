"""The row of a measured tokenizer: what was measured of what, by whom, and how sure it is.

A row carries what its figures hang on: protocol, data and judges by their hashes, the tokenizer by
its weights. Rows of which one of these differs are not compared. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from slmkit.api import DataError

SCHEMA = 1
"""Raised when fields of a row change their meaning."""
KEY = re.compile(r"[^\s/]+(/[^\s/]+)+")
"""Metric and selection of codebooks: "wer/1:8", "phone-purity/1", "bitrate/nominal/1:8"."""
SLACK = 1e-6
"""By so much, relatively, may an interval or the items of a value miss it: sums round."""
SHOWN = 8
"""Hexadecimal digits of a hash where people read it."""

Pair = tuple[float, float]
"""(numerator, denominator) of an utterance, in the unit of the metric's value."""


@dataclass(frozen=True)
class Tokenizer:
    """What was measured: a name to read, the part with its options, and a hash of its weights."""

    name: str
    part: str
    options: Mapping[str, Any]
    weights: str

    def __post_init__(self) -> None:
        _filled(self.name, "tokenizer.name")
        _filled(self.part, "tokenizer.part")
        _filled(self.weights, "tokenizer.weights")


@dataclass(frozen=True)
class Named:
    """A protocol, a data set or a judge: a name to read, and the hash that tells it from others."""

    name: str
    hash: str

    def __post_init__(self) -> None:
        _filled(self.name, "name")
        _filled(self.hash, "hash")


@dataclass(frozen=True)
class Value:
    """A measured value with its 95% interval over n items; what has none is its own interval."""

    value: float
    low: float
    high: float
    n: int
    unit: str
    direction: Literal["lower", "higher"]

    def __post_init__(self) -> None:
        for name in ("value", "low", "high"):
            if not _finite(getattr(self, name)):
                raise DataError(f"{name}: {getattr(self, name)!r} is no finite number")
        slack = SLACK * max(abs(self.low), abs(self.high), abs(self.value))
        if not self.low - slack <= self.value <= self.high + slack:
            raise DataError(f"value: {self.value} is not in its interval {self.low} to {self.high}")
        if self.n < 1:
            raise DataError(f"n: {self.n} items; a value is measured of one or more")
        if self.direction not in ("lower", "higher"):
            raise DataError(f"direction: {self.direction!r} is neither lower nor higher")


@dataclass(frozen=True)
class Failed:
    """Why a metric could not be measured, in a line."""

    reason: str

    def __post_init__(self) -> None:
        _filled(self.reason, "reason")


@dataclass(frozen=True)
class Row:
    """Everything measured of one tokenizer under one protocol.

    Attributes:
        judges: by role, "transcriber" and "speaker-encoder".
        vocoder: what speaks the codes, where the tokenizer has no decoder.
        values: by "metric/selection", the selection of codebooks after the last slash.
        items: for some of these, (numerator, denominator) by utterance; their sums' quotient is the
            value. With them two tokenizers are compared utterance by utterance.
        wall_seconds: of the measuring.
    """

    tokenizer: Tokenizer
    protocol: Named
    data: Named
    judges: Mapping[str, Named]
    seeds: tuple[int, ...]
    values: Mapping[str, Value | Failed]
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    wall_seconds: float
    items: Mapping[str, Mapping[str, Pair]] = field(default_factory=dict)
    vocoder: Named | None = None

    def __post_init__(self) -> None:
        for key in self.values:
            if not KEY.fullmatch(key):
                raise DataError(f"values: '{key}' is not METRIC/SELECTION, such as wer/1:8")
        if not self.values:
            raise DataError("values: there are none")
        if not self.seeds:
            raise DataError("seeds: there are none")
        if not _finite(self.wall_seconds) or self.wall_seconds < 0:
            raise DataError(f"wall_seconds: {self.wall_seconds!r} is no time")
        for key, pairs in self.items.items():
            _check_items(key, self.values.get(key), pairs)

    @property
    def setting(self) -> tuple[str, str, tuple[tuple[str, str], ...]]:
        """What must be alike for two rows to be ranked together."""
        judges = tuple(sorted((role, judge.hash) for role, judge in self.judges.items()))
        return self.protocol.hash, self.data.hash, judges

    @property
    def hash(self) -> str:
        """Of all that the row says."""
        return content_hash(plain(self))

    @property
    def file_name(self) -> str:
        """NAME-HASH.json: the same for the same tokenizer measured again in the same way."""
        spoken = None if self.vocoder is None else self.vocoder.hash
        measured = self.tokenizer
        same = [measured.weights, measured.part, measured.options, spoken, self.setting]
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.tokenizer.name).strip(".-") or "row"
        return f"{name[:80]}-{content_hash([*same, self.seeds])[:SHOWN]}.json"


def plain(row: Row) -> dict[str, Any]:
    """A row as JSON has it, without its hash."""
    return {
        "schema": SCHEMA,
        "tokenizer": dict(vars(row.tokenizer)),
        "protocol": dict(vars(row.protocol)),
        "data": dict(vars(row.data)),
        "judges": {role: dict(vars(judge)) for role, judge in row.judges.items()},
        "vocoder": None if row.vocoder is None else dict(vars(row.vocoder)),
        "seeds": list(row.seeds),
        "values": {key: dict(vars(value)) for key, value in row.values.items()},
        "machine": dict(row.machine),
        "versions": dict(row.versions),
        "wall_seconds": row.wall_seconds,
        "items": {
            key: {name: list(pair) for name, pair in pairs.items()}
            for key, pairs in row.items.items()
        },
    }


def content_hash(values: Any) -> str:
    """SHA-256 of values in canonical JSON: keys sorted, no spaces, ASCII. Raises DataError for
    what JSON does not hold, NaN for one."""
    try:
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(f"a row holds what JSON does not: {error}") from None
    return hashlib.sha256(text.encode()).hexdigest()


def _check_items(key: str, value: Value | Failed | None, pairs: Mapping[str, Pair]) -> None:
    """Items belong to a value, and make it up."""
    if not isinstance(value, Value):
        raise DataError(f"items.{key}: there are items of it, and no value")
    if not all(_finite(top) and _finite(bottom) for top, bottom in pairs.values()):
        raise DataError(f"items.{key}: not all are finite numbers")
    top, bottom = (math.fsum(pair[side] for pair in pairs.values()) for side in (0, 1))
    if bottom == 0 or not math.isclose(top / bottom, value.value, rel_tol=SLACK, abs_tol=SLACK):
        found = top / bottom if bottom else "nothing"
        raise DataError(f"items.{key}: they come to {found}, and the value is {value.value}")


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the floats
        return False


def _filled(text: str, name: str) -> None:
    """A text that says something, in one line."""
    if not text.strip():
        raise DataError(f"{name}: is empty")
    if not text.isprintable():
        raise DataError(f"{name}: {text!r} is not a line of text")
