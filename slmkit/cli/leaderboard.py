"""`slmkit leaderboard`: rows of SLMTokBench, checked, and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

leaderboard = typer.Typer(
    help="Rows of the benchmark: check them, and build the page of all.", no_args_is_help=True
)

Rows = Annotated[
    list[Path], typer.Argument(metavar="ROW...", help="Files of rows, or folders of them.")
]


@leaderboard.command("check")
def check(rows: Rows) -> None:
    """Check rows: whole, unchanged since they were measured, and fit to stand beside each other."""
    from slmkit.api import DataError, StageError
    from slmkit.benchmark.row import Failed
    from slmkit.benchmark.standing import find_rows, read_rows, same_name

    files = find_rows(rows)
    good, faults = read_rows(files)
    for file, row in good.items():
        failed = sum(isinstance(value, Failed) for value in row.values.values())
        but = f", {failed} failed" if failed else ""
        about = f"{row.tokenizer.name}, {row.protocol.name} on {row.data.name}"
        typer.echo(f"{file}: {about}, {len(row.values) - failed} values{but}")
    faults += same_name(good)
    if faults:
        kind = StageError if good else DataError
        raise kind("\n".join(faults))


@leaderboard.command("build")
def build(
    rows: Rows,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder of the page.")] = Path(
        "site"
    ),
    tell_apart: Annotated[
        bool,
        typer.Option(
            "--tell-apart", help="Put the weights' hash into names that different weights share."
        ),
    ] = False,
) -> None:
    """Write index.html, which needs no network, and leaderboard.md, the same in Markdown."""
    from slmkit.api import DataError
    from slmkit.benchmark.published import published
    from slmkit.benchmark.site import markdown, page
    from slmkit.benchmark.standing import find_rows, read_rows, same_name, tables
    from slmkit.data.atomic import write_atomically

    good, faults = read_rows(find_rows(rows))
    faults += [] if tell_apart else same_name(good)
    if faults:
        raise DataError("\n".join(faults))
    found, papers = tables(good.values(), tell_apart), [published()]
    write_atomically(output / "leaderboard.md", markdown(found, papers).encode())
    write_atomically(output / "index.html", page(found, papers).encode())
    lines = sum(len(table.lines) for table in found)
    typer.echo(f"{output / 'index.html'}: tables {len(found)}, rows {len(good)}, lines {lines}")
