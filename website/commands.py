"""The page of commands: what each says with `--help`."""

from __future__ import annotations

from collections.abc import Iterator

import typer

from slmkit.cli.main import app

WIDTH = 96


def command_page() -> str:
    """Every command of `slmkit`, in the order of its own help."""
    pieces = [
        "# Commands",
        "What each command says with `--help`. Exit codes: 0 done, 1 partly failed, 2 wrong input, "
        "3 broken plugin, 130 broken off. `SLMKIT_DEBUG=1` shows where an error comes from.",
    ]
    for name, text in _helps():
        pieces.append(f"## {name}\n\n```text\n{text.rstrip()}\n```")
    return "\n\n".join(pieces)


def _helps() -> Iterator[tuple[str, str]]:
    """(name, help) of every command, those inside groups too."""
    top = typer.main.get_command(app)
    yield from _of(top, typer.Context(top, info_name="slmkit", **_narrow()), "slmkit")


def _of(command: object, context: typer.Context, name: str) -> Iterator[tuple[str, str]]:
    yield name, command.get_help(context)  # type: ignore[attr-defined]
    for each, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            below = typer.Context(inner, info_name=each, parent=context, **_narrow())
            yield from _of(inner, below, f"{name} {each}")


def _narrow() -> dict[str, int]:
    return {"terminal_width": WIDTH, "max_content_width": WIDTH}
