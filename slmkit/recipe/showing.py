"""What a notebook shows of a run, and of several things at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmkit.api import Result
from slmkit.drawing.sounds import player
from slmkit.drawing.style import framed, note
from slmkit.drawing.tables import result_rows, results_table, table
from slmkit.recipe.folder import Record

SOUNDS = (".wav", ".flac")
HEARD = 4
"""Sounds of a run that a notebook plays at most; the report has them all."""


@dataclass(frozen=True)
class Shown:
    """HTML that a notebook shows."""

    html: str

    def _repr_html_(self) -> str:
        return self.html


def show(*things: Any) -> Shown:
    """Several things below one another: whatever shows itself, and lists of it.

    >>> slmkit.show(prompt, answer)       # segments
    >>> slmkit.show(run.results)          # one table

    Results that stand side by side in a list become one table; what has no picture is shown as
    text.
    """
    return Shown(framed(*(html for thing in things for html in _html_of(thing))))


def _html_of(thing: Any) -> Iterator[str]:
    if isinstance(thing, list | tuple) and thing:
        if all(isinstance(each, Result) for each in thing):
            yield results_table(result_rows(thing))
            return
        for each in thing:
            yield from _html_of(each)
        return
    for name in ("_repr_html_", "_repr_svg_"):
        if hasattr(thing, name):
            yield getattr(thing, name)()
            return
    yield note(str(thing))


def run_html(
    name: str, folder: Path, results: Sequence[Result], stages: Mapping[str, Record]
) -> str:
    """A run: its results, its stages, and the first of its sounds."""
    from slmkit.recipe.watch import duration

    rows = [
        [stage, record.part, duration(record.seconds), f"{record.peak_memory / 1e9:.2f} GB"]
        for stage, record in stages.items()
    ]
    heard = [note(f"the whole of it: {folder / 'report.html'}")]
    for path in _sounds(folder):
        heard += [note(str(path.relative_to(folder))), player(_address(path), path.name)]
    return framed(
        note(f"Run {name} in {folder}: {len(stages)} stages done, {len(results)} results"),
        results_table(result_rows(results)) if results else "",
        table(["stage", "part", "time", "peak memory"], rows),
        *heard,
    )


def _sounds(folder: Path) -> list[Path]:
    """The first sounds of the last stage that left a few to listen to, below `report.json`."""
    pages = sorted(folder.glob("stages/*/report.json"), key=lambda page: page.stat().st_mtime)
    for page in reversed(pages):
        found = sorted(file for file in page.parent.rglob("*") if file.suffix in SOUNDS)
        if found:
            return found[:HEARD]
    return []


def _address(path: Path) -> str:
    from slmkit.data.sound import Sound

    return Sound.read(path).address
