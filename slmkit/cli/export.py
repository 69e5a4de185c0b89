"""`slmkit export`: a trained part of a run as a folder to be shared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slmkit.cli.completing import complete_run


def export(
    run: Annotated[
        Path, typer.Argument(help="folder of a finished run", autocompletion=complete_run)
    ],
    slot: Annotated[str, typer.Argument(help="whose trained part: tokenizer, vocoder, judge, ...")],
    output: Annotated[Path, typer.Option("-o", "--output", help="the new folder")],
    about: Annotated[
        Path | None,
        typer.Option(help="a Markdown file for its card: data, licences, what to know"),
    ] = None,
) -> None:
    """Write a part's weights in half precision, what it takes to build it, and a model card."""
    from slmkit.recipe.export import export as write
    from slmkit.recipe.saved import load

    text = "" if about is None else about.read_text()
    size = write(load(run), slot, output, text)
    typer.echo(f"{output}: {size / 1e6:.1f} MB; use it with --from {output}")
