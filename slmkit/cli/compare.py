"""`slmkit compare`: several runs on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of runs, two or more.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="The page, an HTML file.")] = Path(
        "compare.html"
    ),
) -> None:
    """Make one page of several runs; what differs is told against the first.

    Results with paired differences where stages left every item's scores, the keys in which the
    recipes differ, learning curves laid over each other, and sounds side by side.
    """
    from slmkit.recipe.report import write_comparison

    typer.echo(write_comparison(runs, output))
