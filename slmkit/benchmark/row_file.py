"""Rows in files: JSON that a person can read, with a hash that shows whether a hand changed it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from slmkit.api import DataError, nearest
from slmkit.benchmark.row import (
    SCHEMA,
    Failed,
    Named,
    Pair,
    Row,
    Tokenizer,
    Value,
    content_hash,
    plain,
)
from slmkit.data.atomic import write_atomically

FIELDS = (
    "schema", "tokenizer", "protocol", "data", "judges", "vocoder", "seeds", "values", "machine",
    "versions", "wall_seconds", "items", "hash",
)  # fmt: skip
Made = TypeVar("Made")
LARGE = ("judges", "values", "items")
"""Fields of which every entry has a line of its own."""


def write_row(row: Row, folder: Path) -> Path:
    """Write `folder/NAME-HASH.json` whole or not at all; its path. Raises DataError where the row
    holds what JSON does not, and StageError where the disk does not take it."""
    path = folder / row.file_name
    write_atomically(path, text_of(row).encode())
    return path


def text_of(row: Row) -> str:
    """The text of a row's file."""
    values = plain(row)
    values["hash"] = content_hash(values)
    lines = []
    for name, value in values.items():
        if name in LARGE and value:
            entries = ",\n".join(f"  {_json(key)}: {_json(value[key])}" for key in value)
            lines.append(f" {_json(name)}: {{\n{entries}\n }}")
        else:
            lines.append(f" {_json(name)}: {_json(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_row(path: Path) -> Row:
    """The row in a file. Raises DataError, one line, for whatever is wrong with it: no JSON, NaN,
    another schema, fields missing or unknown, another hash than its content's."""
    try:
        return row_of(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def row_of(data: bytes) -> Row:
    """The row in a file's bytes. Raises DataError."""
    try:
        values = json.loads(
            data.decode(), parse_constant=_no_number, object_pairs_hook=_no_key_twice
        )
        json.dumps(values, ensure_ascii=False).encode()  # half a character is no text
    except (ValueError, RecursionError) as error:
        line = str(error).splitlines()[0]
        raise DataError(f"not JSON: {line}; write rows with slmkit bench") from None
    if not isinstance(values, dict):
        raise DataError(f"a row is a mapping, not {_kind(values)}")
    if values.get("schema") != SCHEMA or isinstance(values.get("schema"), bool):
        said = repr(values["schema"]) if "schema" in values else "none"
        raise DataError(f"schema: {said}; this slmkit reads {SCHEMA}")
    _fields(values, FIELDS, "")
    claimed = _text(values.pop("hash"), "hash")
    if claimed != content_hash(values):
        raise DataError(
            "hash: not that of the content: the row was changed after it was measured; "
            "measure it anew with slmkit bench"
        )
    return _row(values)


def _row(values: Mapping[str, Any]) -> Row:
    tokenizer = _mapping(values["tokenizer"], "tokenizer")
    _fields(tokenizer, ("name", "part", "options", "weights"), "tokenizer.")
    return Row(
        tokenizer=Tokenizer(
            name=_text(tokenizer["name"], "tokenizer.name"),
            part=_text(tokenizer["part"], "tokenizer.part"),
            options=_mapping(tokenizer["options"], "tokenizer.options"),
            weights=_text(tokenizer["weights"], "tokenizer.weights"),
        ),
        protocol=_named(values["protocol"], "protocol"),
        data=_named(values["data"], "data"),
        judges=_each(values["judges"], "judges", _named),
        vocoder=None if values["vocoder"] is None else _named(values["vocoder"], "vocoder"),
        seeds=tuple(_whole(seed, "seeds") for seed in _list(values["seeds"], "seeds")),
        values=_each(values["values"], "values", _value),
        machine=_mapping(values["machine"], "machine"),
        versions=_each(values["versions"], "versions", _text),
        wall_seconds=_number(values["wall_seconds"], "wall_seconds"),
        items=_each(values["items"], "items", _items),
    )


def _named(values: Any, place: str) -> Named:
    _fields(values, ("name", "hash"), f"{place}.")
    name, digest = _text(values["name"], f"{place}.name"), _text(values["hash"], f"{place}.hash")
    return _made(place, lambda: Named(name, digest))


def _value(values: Any, place: str) -> Value | Failed:
    if isinstance(values, dict) and "reason" in values:
        if "value" in values:
            raise DataError(f"{place}: has a value and a reason why there is none: keep one")
        _fields(values, ("reason",), f"{place}.")
        return _made(place, lambda: Failed(_text(values["reason"], f"{place}.reason")))
    _fields(values, ("value", "low", "high", "n", "unit", "direction"), f"{place}.")
    numbers = [_number(values[name], f"{place}.{name}") for name in ("value", "low", "high")]
    n, unit = _whole(values["n"], f"{place}.n"), _text(values["unit"], f"{place}.unit")
    direction: Any = _text(values["direction"], f"{place}.direction")
    return _made(place, lambda: Value(numbers[0], numbers[1], numbers[2], n, unit, direction))


def _items(values: Any, place: str) -> dict[str, Pair]:
    return _each(values, place, _pair)


def _pair(value: Any, place: str) -> Pair:
    if len(_list(value, place)) != 2:
        raise DataError(f"{place}: {len(value)} numbers; an item has a numerator and a denominator")
    return _number(value[0], place), _number(value[1], place)


def _made(place: str, make: Callable[[], Made]) -> Made:
    """What a class makes of values, its complaints with the place before them."""
    try:
        return make()
    except DataError as error:
        raise DataError(f"{place}.{error}") from None


def _fields(values: Any, names: Sequence[str], place: str) -> None:
    """Exactly these fields are there."""
    _mapping(values, place.rstrip("."))
    missing = [name for name in names if name not in values]
    unknown = [name for name in values if name not in names]
    if missing:
        raise DataError(f"{place}{missing[0]}: is missing")
    if unknown:
        near = nearest(unknown[0], names)
        hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(names)}"
        raise DataError(f"{place}{unknown[0]}: no field of a row{hint}")


def _each(values: Any, place: str, make: Callable[[Any, str], Made]) -> dict[str, Made]:
    return {key: make(value, f"{place}.{key}") for key, value in _mapping(values, place).items()}


def _mapping(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{place}: a mapping is due, not {_kind(value)}")
    return value


def _list(value: Any, place: str) -> list[Any]:
    if not isinstance(value, list):
        raise DataError(f"{place}: a list is due, not {_kind(value)}")
    return value


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{place}: a text is due, not {_kind(value)}")
    return value


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{place}: a number is due, not {_kind(value)}")
    return value


def _whole(value: Any, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise DataError(f"{place}: a whole number is due, not {_kind(value)}")
    return value


def _kind(value: Any) -> str:
    """What a JSON value is, for people."""
    kinds = {dict: "a mapping", list: "a list", str: "a text", bool: "a truth value",
             int: "a number", float: "a number", type(None): "nothing"}  # fmt: skip
    return kinds[type(value)]


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def _no_number(name: str) -> NoReturn:
    raise DataError(f"{name} is no number; a metric that failed says its reason instead")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [key for key, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"'{twice}' stands twice in a mapping")
    return values
