"""`slmkit serve`: a web page of a run, and a playground for tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slmkit.cli.completing import complete_run
from slmkit.cli.run import INTERRUPTED


def serve(
    run: Annotated[
        Path | None,
        typer.Argument(
            metavar="[RUN]",
            help="Folder of a run; without one the page has the playground alone.",
            autocompletion=complete_run,
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 7860,
) -> None:
    """Talk to a run, let it read aloud, or play with its tokenizer, in a browser.

    Only this machine can reach the page unless --host says otherwise; it sends nothing anywhere.
    """
    from slmkit.web.offer import open_offer
    from slmkit.web.server import check_gradio, listen
    from slmkit.web.server import serve as serve_page

    check_gradio()
    with listen(host, port) as listening:
        offer = open_offer(run)
        try:
            serve_page(offer, listening, lambda address: typer.echo(f"{address} (Ctrl-C ends it)"))
        except KeyboardInterrupt:
            typer.echo("ended", err=True)
            raise typer.Exit(INTERRUPTED) from None
