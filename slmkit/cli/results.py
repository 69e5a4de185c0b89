"""`slmkit results`: what a run has measured."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slmkit.cli.completing import complete_run
from slmkit.cli.talking import talk

if TYPE_CHECKING:
    from slmkit.api import Result

COLUMNS = ("metric", "split", "value", "low", "high", "n", "unit", "better")


def results(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", autocompletion=complete_run)],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Show the results of a run, each with its interval.

    In a pipe each is a line of tab-separated fields; a line like them names the fields first.
    """
    from slmkit.recipe.saved import load

    rows = load(run).results
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=1))
        return
    if not rows:
        talk(f"{run}: no results yet")
        return
    table = [_cells(row) for row in rows]
    if sys.stdout.isatty():
        _draw(table)
        return
    for cells in (COLUMNS, *table):
        typer.echo("\t".join(cells))


def _cells(row: Result) -> tuple[str, ...]:
    numbers = (f"{number:.4g}" for number in (row.value, row.low, row.high))
    return (row.metric, row.split, *numbers, str(row.n), row.unit, row.direction)


def _draw(rows: list[tuple[str, ...]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in COLUMNS[2:6] else "left")
    for cells in rows:
        table.add_row(*map(escape, cells))
    Console().print(table)
