"""The reader of a finished run: a model that says texts, with the run's tokenizer and vocoder."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from slmkit.api import DataError, MisfitError
from slmkit.codecs.decoding_vocoder import as_vocoder
from slmkit.generation.reader import Reader
from slmkit.lm.reading import READING_FILE, Reading
from slmkit.lm.saving import load_lm
from slmkit.recipe.saved import load


def open_reader(folder: str | Path, stage: str | None = None) -> Reader:
    """Make a run ready to read aloud, by the model of a stage or else of the last that left one.

    Raises DataError where it has no model that reads, MisfitError where nothing speaks.
    """
    run = load(folder)
    if stage is None:
        readers = [n for n, path in run.paths.items() if (path / "lm" / READING_FILE).exists()]
        if not readers:
            raise DataError(
                f"{folder}: no finished stage of this run left a model that reads aloud"
            )
        stage = readers[-1]
    model = run.path(stage) / "lm"
    reading, lm = Reading.load(model), load_lm(model)
    tokenizer = run.fitted_or_named(run.slot_of(stage, "tokenizer"))
    if tokenizer.spec != lm.spec:
        raise MisfitError(
            f"{folder}: the tokenizer of stage '{stage}' gives codes of another kind than its "
            f"model speaks: {tokenizer.spec.unlike(lm.spec)}"
        )
    speaks = "vocoder" in run.recipe["parts"]
    vocoder = as_vocoder(run.fitted_or_named("vocoder", lm.spec) if speaks else tokenizer)
    listens = reading.goes_on and "judge" in run.recipe["parts"]
    listener = partial(run.fitted_or_named, "judge") if listens else None
    return Reader(lm, reading, tokenizer, vocoder, listener)
