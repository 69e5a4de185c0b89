"""`slmkit check`: whether a package's parts keep the laws of their kinds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slmkit.cli.completing import complete_plugin

if TYPE_CHECKING:
    from slmkit.testing.verdicts import Examination, Verdict

COLOURS = {"kept": "green", "broken": "red", "unchecked": "yellow"}


def check(
    package: Annotated[
        str,
        typer.Argument(
            metavar="PACKAGE|FOLDER",
            help="An installed package, or its source.",
            autocompletion=complete_plugin,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """Hold every part of a package to the laws of its kind.

    A folder is checked as if it were installed. The exit code is 0 where all laws are kept, 1 where
    one is broken or nothing could be checked, 2 where there is no such package.
    """
    found = _examine(package, (lambda _: None) if as_json else _show)
    if as_json:
        typer.echo(json.dumps({**asdict(found), "passed": found.passed}, indent=1))
    else:
        _sum_up(found)
    if not found.passed:
        raise typer.Exit(1)


def _examine(package: str, tell: Callable[[Verdict], None]) -> Examination:
    from slmkit.testing.projects import as_if_installed
    from slmkit.testing.verdicts import examine

    if not _is_folder(package):
        return examine(package, tell)
    with as_if_installed(Path(package)) as name:
        return examine(name, tell)


def _is_folder(package: str) -> bool:
    """A path is one that looks like it; a bare word is a folder only where there is a project."""
    path = Path(package)
    if len(path.parts) > 1 or package.endswith("/") or package in (".", ".."):
        return True
    return (path / "pyproject.toml").is_file()


def _show(verdict: Verdict) -> None:
    status = typer.style(f"{verdict.status:<9}", fg=COLOURS[verdict.status])
    said = verdict.law or f"{verdict.seconds:.1f} s"
    typer.echo(f"{status}  {verdict.kind} '{verdict.name}': {said}")
    for word, text in (("mend", verdict.mend), ("at", verdict.where)):
        if text:
            typer.echo(f"{'':<11}{word}: {text}")


def _sum_up(found: Examination) -> None:
    for fault in found.faults:
        status = typer.style(f"{'broken':<9}", fg=COLOURS["broken"])
        typer.echo(f"{status}  plugin '{fault.plugin}': {fault.text}")
        if fault.mend:
            typer.echo(f"{'':<11}mend: {fault.mend}")
    counts = {
        status: sum(verdict.status == status for verdict in found.verdicts) for status in COLOURS
    }
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    parts = f"{len(found.verdicts)} part{'' if len(found.verdicts) == 1 else 's'}"
    typer.echo(f"{found.distribution} {found.version}: {parts}{said and ': '}{said}")
