"""`slmkit new`: a package to begin with."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from slmkit.api import KINDS
from slmkit.cli.completing import complete_kind
from slmkit.cli.talking import talk

new = typer.Typer(help="Begin something of your own.", no_args_is_help=True)


@new.callback()
def _of_what() -> None:
    # with a callback, one command alone keeps its name
    """Begin something of your own."""


@new.command("plugin")
def new_plugin(
    name: Annotated[str, typer.Argument(help="Of the package and its part, such as my-codec.")],
    kind: Annotated[
        str,
        typer.Option(help=f"One of: {', '.join(KINDS)}.", autocompletion=complete_kind),
    ] = "tokenizer",
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The folder in which the package's own goes.")
    ] = Path("."),
) -> None:
    """Write a package that offers a part: one that is small and works, with its tests."""
    from slmkit.starter.write import new_plugin as write

    folder = write(name, kind, output)
    typer.echo(str(folder))
    pip, pytest, slmkit = map(_typed, ("pip", "pytest", "slmkit"))
    steps = f"{pip} install -e '{folder}[dev]'", f"{pytest} {folder}", f"{slmkit} check {name}"
    talk("next: " + "\n      ".join(steps))


def _typed(program: str) -> str:
    """A program of this environment as it is typed here: by its path, unless it is the one that the
    shell finds."""
    ours = Path(sys.executable).parent / program
    found = shutil.which(program)
    return program if found is not None and Path(found) == ours else os.path.relpath(ours)
