"""`slmkit report`: a run's page, made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
) -> None:
    """Make report.html of a run anew from what lies in its folder; nothing is run."""
    from slmkit.recipe.report import write_report

    typer.echo(write_report(run))
