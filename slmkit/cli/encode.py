"""`slmkit encode`: sound files into codes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from slmkit.cli.choosing import Saved, TokenizerName, split
from slmkit.cli.run import INTERRUPTED


def encode(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="IN... [KEY=VALUE]...",
            help="Files, folders, globs, manifests (.jsonl); options of the tokenizer.",
        ),
    ],
    tokenizer: TokenizerName = None,
    saved: Saved = None,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Folder of a token store, or one file (.npz)."),
    ] = Path("codes"),
    jobs: Annotated[int, typer.Option(min=1, help="Processes that code side by side.")] = 1,
    on_error: Annotated[
        str, typer.Option(help="What cannot be coded: skip (named at the end), or stop.")
    ] = "skip",
) -> None:
    """Code sound. What is coded already stays, and a broken extraction goes on.

    Sound of any rate and number of channels is mixed to one channel at the tokenizer's rate.
    """
    from slmkit.api import StageError, UnknownNameError
    from slmkit.data.archive import SUFFIX
    from slmkit.data.extract import MEMORY, extract
    from slmkit.data.sources import find_utterances
    from slmkit.recipe.chosen import build_chosen, choose
    from slmkit.recipe.interrupt import ending_in_time
    from slmkit.recipe.watch import default_watch

    if on_error not in ("skip", "stop"):
        raise UnknownNameError("--on-error", on_error, ("skip", "stop"))
    names, values = split(inputs)
    chosen = choose("tokenizer", tokenizer, saved, values)
    utterances = find_utterances(names)
    cache = None if output.suffix == SUFFIX else output / MEMORY
    made_by = chosen.to_dict()
    try:
        with (
            ending_in_time(INTERRUPTED),
            default_watch().progress("coding", len(utterances)) as progress,
        ):
            done = extract(
                utterances,
                output,
                partial(build_chosen, "tokenizer", made_by),
                chosen.fingerprint(cache),
                made_by,
                progress,
                jobs,
                stop=on_error == "stop",
            )
    except KeyboardInterrupt:
        typer.echo("interrupted; run the same command again: it goes on", err=True)
        raise typer.Exit(INTERRUPTED) from None
    for id, fault in done.faults.items():
        typer.echo(f"left out '{id}': {fault}", err=True)
    if done.coded:
        hours, speed = done.sound_s / 3600, done.speed
        how = f", {hours:.2f} hours of audio at {speed:.0f} hours an hour"
    else:
        how = ""
    typer.echo(f"{output}: {done.coded} coded, {done.known} there already{how}")
    if done.faults:
        raise StageError(f"{len(done.faults)} of {len(utterances)} could not be coded")
