"""`slmkit completion`: the lines that teach a shell to complete slmkit's commands."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

PROGRAM = "slmkit"
VARIABLE = "_SLMKIT_COMPLETE"
"""Set by those lines when Tab is pressed; the command then answers instead of doing anything."""

HOW = {
    "bash": 'put this in ~/.bashrc: eval "$(slmkit completion bash)"',
    "zsh": 'put this in ~/.zshrc, after compinit: eval "$(slmkit completion zsh)"',
    "fish": "run once: slmkit completion fish > ~/.config/fish/completions/slmkit.fish",
}


def complete_shell(incomplete: str) -> list[str]:
    """The shells."""
    return [shell for shell in HOW if shell.startswith(incomplete)]


def completion(
    shell: Annotated[
        str, typer.Argument(help=f"One of: {', '.join(HOW)}.", autocompletion=complete_shell)
    ],
) -> None:
    """Print what teaches a shell to complete commands, parts, recipes and runs."""
    from typer._completion_shared import get_completion_script

    from slmkit.api import UnknownNameError
    from slmkit.cli.talking import talk

    if shell not in HOW:
        raise UnknownNameError("shell", shell, HOW)
    typer.echo(get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=shell))
    if sys.stdout.isatty():
        # a shell that reads the lines each time that it starts is told nothing
        talk(HOW[shell])


def prepare_completion() -> None:
    """Let typer answer where a shell asks for completions."""
    if VARIABLE in os.environ:
        from typer._completion_classes import completion_init

        completion_init()
