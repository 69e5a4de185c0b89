"""The assistant of a finished run: its last model, with the run's tokenizer and vocoder."""

from __future__ import annotations

import json
from pathlib import Path

from slmkit.api import DataError
from slmkit.codecs.decoding_vocoder import as_vocoder
from slmkit.generation.assistant import Assistant
from slmkit.lm.dialogue import DIALOGUE_FILE, Style
from slmkit.lm.saving import load_lm
from slmkit.recipe.saved import load


def open_assistant(folder: str | Path, prompting: str = "chain") -> Assistant:
    """Make a run ready to be asked; one without a vocoder speaks by its tokenizer's decoder.

    Raises DataError where it has no model that talks, MisfitError where nothing speaks.
    """
    run = load(folder)
    models = [path / "lm" for path in run.paths.values() if (path / "lm" / DIALOGUE_FILE).exists()]
    if not models:
        raise DataError(f"{folder}: no finished stage of this run left a model that can be asked")
    style = Style.from_dict(json.loads((models[-1] / DIALOGUE_FILE).read_text()))
    tokenizer = run.fitted_or_named("tokenizer")
    own = "vocoder" in run.recipe["parts"]
    speaker = run.fitted_or_named("vocoder", tokenizer.spec) if own else tokenizer
    return Assistant(
        load_lm(models[-1]),
        style,
        vocoder=as_vocoder(speaker),
        tokenizer=tokenizer,
        prompting=prompting,
    )
