"""Rows of the benchmark: what is written is read, and what was changed is found."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slmkit.api import DataError
from slmkit.benchmark.row import Failed, Named, Row, Tokenizer, Value, content_hash
from slmkit.benchmark.row_file import read_row, row_of, text_of, write_row

WORDS = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
KEYS = st.from_regex(r"[a-z]{1,6}(/[a-z-]{1,6})?/[1-8](:[1-8])?", fullmatch=True)


@st.composite
def values(draw: st.DrawFn) -> Value | Failed:
    if draw(st.booleans()):
        return Failed(draw(WORDS))
    low, value, high = sorted(draw(st.tuples(NUMBERS, NUMBERS, NUMBERS)))
    n, unit = draw(st.integers(1, 10**6)), draw(st.sampled_from(["%", "", "bit/s"]))
    return Value(value, low, high, n, unit, draw(st.sampled_from(["lower", "higher"])))


@st.composite
def rows(draw: st.DrawFn) -> Row:
    named = st.builds(Named, WORDS, WORDS)
    measured = draw(st.dictionaries(KEYS, values(), min_size=1, max_size=4))
    items = {}
    for key, value in measured.items():
        if isinstance(value, Value) and draw(st.booleans()):
            items[key] = {
                f"u{i}": (float(value.value), 1.0) for i in range(draw(st.integers(1, 3)))
            }
    return Row(
        tokenizer=Tokenizer(
            draw(WORDS), draw(WORDS), draw(st.dictionaries(WORDS, JSON, max_size=3)), draw(WORDS)
        ),
        protocol=draw(named),
        data=draw(named),
        judges=draw(st.dictionaries(WORDS, named, max_size=2)),
        vocoder=draw(st.none() | named),
        seeds=tuple(draw(st.lists(st.integers(0, 99), min_size=1, max_size=3))),
        values=measured,
        items=items,
        machine=draw(st.dictionaries(WORDS, JSON, max_size=2)),
        versions=draw(st.dictionaries(WORDS, WORDS, max_size=2)),
        wall_seconds=draw(st.floats(0, 1e6)),
    )


def a_row(**changes: Any) -> Row:
    """A small row with a value, a failure and items."""
    fields: dict[str, Any] = {
        "tokenizer": Tokenizer("mel", "mel-km", {"clusters": 400}, "ab12"),
        "protocol": Named("mini", "p1"),
        "data": Named("spoken-qa", "d1"),
        "judges": {"transcriber": Named("ctc", "j1")},
        "seeds": (0, 1),
        "values": {
            "wer/1": Value(25.0, 10.0, 40.0, 2, "%", "lower"),
            "pesq/1": Failed("the extra 'eval' is not installed"),
        },
        "items": {"wer/1": {"a": (100.0, 4.0), "b": (0.0, 0.0)}},
        "machine": {"cores": 2},
        "versions": {"torch": "2.6"},
        "wall_seconds": 12.5,
    }
    return Row(**{**fields, **changes})


@given(rows())
@settings(deadline=None)
def test_what_is_written_is_read(row: Row) -> None:
    again = row_of(text_of(row).encode())
    assert again == row
    assert again.hash == row.hash
    assert text_of(again) == text_of(row)


def test_a_row_survives_its_file(tmp_path: Path) -> None:
    row = a_row()
    path = write_row(row, tmp_path / "rows")
    assert path.name.startswith("mel-")
    assert path.suffix == ".json"
    assert read_row(path) == row
    # measured again it takes the same place, of another protocol another
    assert write_row(a_row(wall_seconds=13.0), tmp_path / "rows") == path
    assert a_row(protocol=Named("mini", "p2")).file_name != row.file_name


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in JSON that is not the whole."""
    inner = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in inner:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, key))


def changed(values: Any, way: tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    values = copy.deepcopy(values)
    place = values
    for key in way[:-1]:
        place = place[key]
    change(place, way[-1])
    return values


@given(st.data())
@settings(deadline=None, max_examples=200)
def test_whatever_is_changed_is_found(data: st.DataObject) -> None:
    """Any value exchanged for any other and anything left out; also the hash itself."""
    was = json.loads(text_of(data.draw(rows())))
    way = data.draw(st.sampled_from(list(leaves(was))))
    if data.draw(st.booleans()):
        now = changed(was, way, lambda place, key: place.pop(key))
    else:
        other = data.draw(JSON)
        now = changed(was, way, lambda place, key: place.__setitem__(key, other))
        if json.dumps(now, sort_keys=True) == json.dumps(was, sort_keys=True):
            return
    with pytest.raises(DataError):
        row_of(json.dumps(now).encode())


def sealed(values: dict[str, Any]) -> bytes:
    """A row's file with the right hash, whatever it says: what a forger would write."""
    inner = {key: value for key, value in values.items() if key != "hash"}
    return json.dumps({**inner, "hash": content_hash(inner)}).encode()


@pytest.mark.parametrize(
    ("way", "value", "complaint"),
    [
        (("schema",), 2, "schema: 2; this slmkit reads 1"),
        (("schema",), True, "schema: True"),
        (("values", "wer/1", "value"), 50.0, "values.wer/1.value: 50.0 is not in its interval"),
        (("values", "wer/1", "value"), "25", "values.wer/1.value: a number is due, not a text"),
        (("values", "wer/1", "value"), True, "a number is due, not a truth value"),
        (("values", "wer/1", "n"), 0, "values.wer/1.n: 0 items"),
        (("values", "wer/1", "n"), 1.5, "a whole number is due"),
        (("values", "wer/1", "direction"), "up", "neither lower nor higher"),
        (("values", "wer/1", "reason"), "x", "keep one"),
        (("values", "pesq/1", "reason"), " ", "values.pesq/1.reason: is empty"),
        (("values", "pesq/1"), {"n": 1}, "values.pesq/1.value: is missing"),
        (("values", "pesq"), {"reason": "x"}, "'pesq' is not METRIC/SELECTION"),
        (("values",), {}, "values: there are none"),
        (("seeds",), [], "seeds: there are none"),
        (("seeds",), 3, "seeds: a list is due, not a number"),
        (("items", "wer/1", "a"), [100.0, 5.0], "items.wer/1: they come to 20.0"),
        (("items", "wer/1", "a"), [1.0], "items.wer/1.a: 1 numbers"),
        (("items", "pesq/1"), {}, "items.pesq/1: there are items of it, and no value"),
        (("protocol", "hsah"), "x", "protocol.hsah: no field of a row; did you mean hash?"),
        (("data", "hash"), "", "data.hash: is empty"),
        (("tokenizer", "name"), "a\nb", "is not a line of text"),
        (("wall_seconds",), -1, "no time"),
        (("machine",), None, "machine: a mapping is due, not nothing"),
    ],
)
def test_a_wrong_row_with_the_right_hash_is_told_in_a_line(
    way: tuple[str, ...], value: Any, complaint: str
) -> None:
    values = json.loads(text_of(a_row()))
    forged = changed(values, way, lambda place, key: place.__setitem__(key, value))
    with pytest.raises(DataError) as caught:
        row_of(sealed(forged))
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_row_is_told_in_a_line(tmp_path: Path) -> None:
    good = text_of(a_row())
    files = {
        "nan": (good.replace("25.0", "NaN"), "NaN is no number"),
        "infinity": (good.replace("25.0", "-Infinity"), "-Infinity is no number"),
        "beyond": (good.replace("25.0", "1e999"), "JSON does not"),
        "twice": (good.replace('"seeds"', '"schema"', 1), "'schema' stands twice"),
        "edited": (good.replace("25.0", "24.0"), "changed after it was measured"),
        "torn": (good[:100], "not JSON"),
        "list": ("[]", "a row is a mapping, not a list"),
        "deep": ("[" * 100_000, "not JSON"),
        "half": (good.replace("mel-km", "\\ud800"), "not JSON"),
        "empty": ("", "not JSON"),
    }
    for name, (text, complaint) in files.items():
        path = tmp_path / f"{name}.json"
        path.write_text(text)
        with pytest.raises(DataError) as caught:
            read_row(path)
        assert complaint in str(caught.value), name
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)
    for name in ("schema", "hash", "items"):
        values = json.loads(good)
        del values[name]
        with pytest.raises(DataError, match=f"{name}"):
            row_of(json.dumps(values).encode())
    with pytest.raises(DataError, match="cannot be read"):
        read_row(tmp_path / "missing.json")


@pytest.mark.parametrize("wrong", [math.nan, math.inf, 10**400])
def test_no_value_is_made_of_what_is_no_number(wrong: float) -> None:
    with pytest.raises(DataError, match="no finite number"):
        Value(wrong, 0.0, 1.0, 3, "", "higher")
    with pytest.raises(DataError, match="finite"):
        a_row(items={"wer/1": {"a": (wrong, 1.0)}})
    with pytest.raises(DataError, match="JSON does not"):
        text_of(a_row(machine={"x": math.nan}))


def test_rows_import_no_torch() -> None:
    code = "import sys, slmkit.benchmark.row_file; print({'torch', 'numpy'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
