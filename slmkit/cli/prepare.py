"""`slmkit prepare`: a manifest of a public corpus, made by lhotse's recipe for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def prepare(
    corpus: Annotated[str, typer.Argument(help="name of the corpus, such as librispeech")],
    root: Annotated[Path, typer.Argument(help="folder in which it is unpacked")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="folder that the manifest is written to")
    ] = Path("manifests"),
) -> None:
    """Write the manifest of a public corpus, by lhotse's own recipe for it.

    The corpus part 'manifest' reads what is written: corpus.manifest=manifests/librispeech.jsonl.gz
    """
    from slmkit.data.public import prepare_corpus

    prepared = prepare_corpus(corpus, root, output)
    counts = ", ".join(f"{split} {count}" for split, count in sorted(prepared.splits.items()))
    typer.echo(f"{prepared.manifest}: {prepared.hours:.1f} hours; utterances: {counts}")
