"""What several commands take: a tokenizer, a vocoder, and their options as KEY=VALUE."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from slmkit.cli.completing import complete_part, complete_run, complete_run_or_part

if TYPE_CHECKING:
    from slmkit.recipe.chosen import Chosen

TokenizerName = Annotated[
    str | None,
    typer.Option(
        "-t",
        "--tokenizer",
        metavar="NAME",
        help="A tokenizer: 'slmkit list tokenizer'.",
        autocompletion=complete_part("tokenizer"),
    ),
]
Saved = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FOLDER",
        help="A run, or a saved tokenizer, instead of NAME.",
        autocompletion=complete_run,
    ),
]
VocoderName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FOLDER",
        help="A vocoder by name, of a run, or saved; its options are vocoder.KEY=VALUE.",
        autocompletion=complete_run_or_part("vocoder"),
    ),
]
VoiceName = Annotated[
    str | None,
    typer.Option(
        "--voice",
        metavar="NAME|NUMBER|FILE",
        help="The vocoder's voice: a speaker it learnt from, or a sound in which one is heard.",
    ),
]
KEY_VALUE = re.compile(r"[A-Za-z_][\w.]*=.*", re.DOTALL)
OF_VOCODER = "vocoder."


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The inputs, and the options that stand among them as KEY=VALUE; a file always wins."""
    options = [a for a in arguments if KEY_VALUE.fullmatch(a) and not Path(a).exists()]
    return [a for a in arguments if a not in options], options


def choose_vocoder(given: str | None, values: list[str]) -> tuple[Chosen | None, list[str]]:
    """The vocoder if one was asked for, and the options that are left for the tokenizer."""
    from slmkit.recipe.chosen import choose

    if given is None:
        return None, values
    own = [value.removeprefix(OF_VOCODER) for value in values if value.startswith(OF_VOCODER)]
    rest = [value for value in values if not value.startswith(OF_VOCODER)]
    if Path(given).exists():
        return choose("vocoder", None, Path(given), own), rest
    return choose("vocoder", given, None, own), rest


def must_decode(chosen: Chosen) -> None:
    """Raise MisfitError for a tokenizer without a decoder of its own."""
    from slmkit.api import MisfitError

    if not chosen.can.decodes:
        raise MisfitError(
            f"tokenizer '{chosen.name}' has no decoder: give --vocoder, by name or from a run "
            f"('slmkit list vocoder')"
        )
