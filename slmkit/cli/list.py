"""`slmkit list`: what lies on the shelves, and what is broken."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from slmkit.api import KINDS
from slmkit.cli.completing import complete_kind

if TYPE_CHECKING:
    from slmkit.host import Broken, Host, Shelved

COLUMNS = ("name", "kind", "summary", "distribution", "status")


def list_parts(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND]", help=f"One of: {', '.join(KINDS)}.", autocompletion=complete_kind
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the installed parts.

    In a pipe each part is a line of tab-separated fields, and a broken plugin too.
    """
    from slmkit.host import host

    found = host()
    parts = list(found.parts(kind))
    if as_json:
        typer.echo(json.dumps(_as_json(found, parts), indent=1))
        return
    rows = [
        (p.name, p.kind, p.declaration.summary, p.distribution, status_of(found, p)) for p in parts
    ]
    if sys.stdout.isatty():
        _draw(rows, found.broken)
        return
    broken = [(b.plugin, "plugin", b.reason, b.distribution, "broken") for b in found.broken]
    for row in [*rows, *broken]:
        typer.echo("\t".join(" ".join(cell.split()) for cell in row))


def status_of(found: Host, part: Shelved) -> str:
    """ "available", or what keeps a part from being used and the command that mends it."""
    rivals = found.rivals(part)
    if rivals:
        return f"offered twice, also by {', '.join(r.distribution for r in rivals)}: uninstall one"
    if part.missing:
        return f"needs {', '.join(part.missing)}: {part.mend}"
    return "available"


def _as_json(found: Host, parts: list[Shelved]) -> dict[str, Any]:
    return {
        "parts": [
            {
                "name": part.name,
                "kind": part.kind,
                "summary": part.declaration.summary,
                "distribution": part.distribution,
                "version": part.version,
                "plugin": part.plugin,
                "available": status_of(found, part) == "available",
                "status": status_of(found, part),
                "missing": list(part.missing),
                "mend": part.mend,
            }
            for part in parts
        ],
        "broken": [vars(broken) for broken in found.broken],
    }


def _draw(rows: Sequence[tuple[str, ...]], broken: list[Broken]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if rows:
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for column in COLUMNS:
            table.add_column(column, no_wrap=column in ("kind", "name"))
        for *cells, status in rows:
            colour = "green" if status == "available" else "yellow"
            table.add_row(*map(escape, cells), f"[{colour}]{escape(status)}[/]")
        console.print(table)
    if broken:
        console.print("[red]broken plugins[/]")
    for each in broken:
        console.print(f"  {escape(f'{each.plugin} of {each.distribution}: {each.reason}')}")
