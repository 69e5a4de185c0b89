"""What goes where: results to stdout, talk to stderr, as much of it as was asked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer


def set_talk(quiet: bool, verbose: bool) -> None:
    """Take over what was asked for, in the environment, so that processes that help know it too.

    Raises typer.BadParameter for both.
    """
    from slmkit.recipe.watch import TALK

    if quiet and verbose:
        raise typer.BadParameter("--quiet and --verbose: give one of them")
    if quiet or verbose:
        os.environ[TALK] = "quiet" if quiet else "verbose"
    if os.environ.get(TALK) == "verbose":
        import logging

        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")


def talk(line: str) -> None:
    """Say something that is no result and no warning."""
    from slmkit.recipe.watch import TALK

    if os.environ.get(TALK) != "quiet":
        typer.echo(line, err=True)


def open_streams() -> None:
    """Give a closed stdout or stderr (`2>&-`) a place to go.

    Python has None there, which libraries write to all the same, and the next file that is opened
    would get the number of the stream, and with it what others write.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            # it stays open as long as the process lives
            setattr(sys, name, Path(os.devnull).open("r" if name == "stdin" else "w"))  # noqa: SIM115


def colour() -> bool | None:
    """False where `NO_COLOR` (https://no-color.org) is set; else None: as the terminal can."""
    return False if os.environ.get("NO_COLOR") else None
