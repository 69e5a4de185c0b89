"""`slmkit bench`: tokenizers measured by a benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from slmkit.cli.run import INTERRUPTED

bench = typer.Typer(
    help="Measure tokenizers: each ends in a row for the leaderboard.", no_args_is_help=True
)


@bench.callback()
def _benchmarks() -> None:
    """Benchmarks have names of their own."""


Tokenizers = Annotated[
    list[str],
    typer.Option(
        "-t",
        "--tokenizer",
        metavar="PART|RUN",
        help="A tokenizer: by name, with options and a name for its row "
        "('small=mel-rvq codebooks=4'), or the folder of a run. May be given again.",
    ),
]
Data = Annotated[
    str,
    typer.Option(
        metavar="PROTOCOL|MANIFEST", help="The data of a protocol, or any manifest (.jsonl)."
    ),
]
Protocol = Annotated[
    str | None, typer.Option(help="mini or librispeech; by default as --data, of a manifest mini.")
]
Root = Annotated[
    Path | None, typer.Option(help="The folder of a public corpus (LibriSpeech) as it is unpacked.")
]
Seeds = Annotated[
    list[int] | None,
    typer.Option(help="Of the probes, instead of the protocol's; two or more, one each time."),
]
Judge = Annotated[
    str | None,
    typer.Option(help="A transcriber instead of the protocol's: 'whisper model=FOLDER'."),
]
Voices = Annotated[str | None, typer.Option(help="A speaker encoder instead of the protocol's.")]
Vocoder = Annotated[
    str | None,
    typer.Option(metavar="NAME|RUN", help="Speaks the codes of a tokenizer without a decoder."),
]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, help="Processes that measure side by side; by default one a core."),
]
Output = Annotated[
    Path, typer.Option("-o", "--output", help="Folder of rows and of all that is kept.")
]


@bench.command()
def slmtokbench(
    tokenizers: Tokenizers,
    data: Data = "mini",
    protocol: Protocol = None,
    root: Root = None,
    seed: Seeds = None,
    judge: Judge = None,
    voices: Voices = None,
    vocoder: Vocoder = None,
    jobs: Jobs = None,
    output: Output = Path("slmtokbench"),
) -> None:
    """Measure how well tokenizers suit speech language models (Zhang et al. 2024).

    What is measured already is kept, and a broken run goes on. Rows lie in OUTPUT/rows.
    """
    from slmkit.benchmark.asking import ask
    from slmkit.benchmark.measuring import measure
    from slmkit.recipe.interrupt import ending_in_time
    from slmkit.recipe.watch import default_watch

    request = ask(tokenizers, data, output, protocol, root, seed, judge, voices, vocoder, jobs)
    watch = default_watch()
    try:
        with ending_in_time(INTERRUPTED):
            report = measure(request, watch)
    except KeyboardInterrupt:
        typer.echo("interrupted; run the same command again: it goes on", err=True)
        raise typer.Exit(INTERRUPTED) from None
    for line in report.absent:
        typer.echo(f"not measured: {line}", err=True)
    for line in report.failed:
        typer.echo(f"failed: {line}", err=True)
    for row in report.rows:
        typer.echo(str(row))
    if report.failed:
        from slmkit.api import StageError

        raise StageError(f"not all could be measured: {len(report.failed)} failures, see above")
