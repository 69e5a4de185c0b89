"""What `benchmarks/README.md` shows is what the benchmarks wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import rows, tables
from benchmarks.rows import Row


def test_the_tables_are_those_of_the_results() -> None:
    page = tables.README.read_text()
    assert tables.renewed(page) == page, "run: python -m benchmarks.tables"
    shown = set(tables.PLACE.findall(page))
    assert {path.stem for path in tables.RESULTS.glob("*.json")} <= shown


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder into which results and their page go in a test."""
    for module in (tables, rows):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr(tables, "README", tmp_path / "README.md")
    return tmp_path


def test_a_table_says_what_is_met_and_what_is_missed(elsewhere: Path) -> None:
    (elsewhere / "README.md").write_text("before\n<!-- results: toy -->\n<!-- end -->\nafter\n")
    measured = [
        Row("time", 2.0, "s", bar=3.0),
        Row("speed", 1.2, "x", bar=1.3, sense="at least", low=1.1, high=1.25, n=9),
        Row("against", 4.0, "", peer="other", ratio=2.0),
    ]
    rows.publish("toy", measured, "python -m benchmarks.toy")
    record = json.loads((elsewhere / "toy.json").read_text())
    assert [row["met"] for row in record["rows"]] == [True, False, None]
    assert "system" not in record["machine"]
    lines = (elsewhere / "README.md").read_text().splitlines()
    assert "| time | 2 s |  |  | at most 3 | yes |" in lines
    assert "| speed | 1.2 x | 1.1 to 1.25 | 9 | at least 1.3 | **no** |" in lines
    assert "| against | 4 (2.00 of other) |  |  |  |  |" in lines
    assert lines[0] == "before"
    assert lines[-1] == "after"
    again = (elsewhere / "README.md").read_text()
    assert tables.renewed(again) == again


def test_figures_of_several_things_stand_in_a_grid(elsewhere: Path) -> None:
    (elsewhere / "README.md").write_text("<!-- results: toy -->\n<!-- end -->\n")
    measured = [
        Row("WER", 20.0, "%", low=18.0, high=22.0, of="flat"),
        Row("speed", 3.0, "x", of="flat"),
        Row("WER", 30.0, "%", low=28.0, high=32.0, of="delay"),
    ]
    rows.publish("toy", measured, "python -m benchmarks.toy")
    assert (elsewhere / "README.md").read_text().splitlines()[3:7] == [
        "| | WER, % | speed, x |",
        "| --- | --- | --- |",
        "| flat | 20 [18, 22] | 3 |",
        "| delay | 30 [28, 32] |  |",
    ]
