"""The stage `load-uslm`."""

from __future__ import annotations

from pathlib import Path

from slmkit.api import StageContext
from slmkit.generation.measuring import weights_of
from slmkit.lm.reading import Reading
from slmkit.lm.saving import save_lm
from slmkit.lm.vocabulary import END_OF_SPEECH
from slmkit_valle.plugin import LoadUslmOptions
from slmkit_valle.published import read_checkpoint, read_symbols, uslm

FRAMES_PER_SYMBOL = 16
"""Published: speech is cut off that is longer than so many frames for each symbol of its text."""


def load(options: LoadUslmOptions, context: StageContext) -> None:
    """Leave the published model as one of ours, with what it takes to be asked."""
    spec = context.part("tokenizer").spec
    weights, symbols = Path(options.weights).expanduser(), Path(options.symbols).expanduser()
    given = options.heads, options.prefix_mode, str(weights)
    lm = uslm(read_checkpoint(weights), read_symbols(symbols), spec, *given)
    for name, count in weights_of(lm).items():
        context.say(f"{name}: {count / 1e6:.2f} M weights")
    save_lm(lm, context.folder / "lm")
    Reading(
        round(options.prompt_seconds * spec.frame_rate),
        END_OF_SPEECH,
        goes_on=True,
        ends_at_best=True,
        frames_per_symbol=FRAMES_PER_SYMBOL,
    ).save(context.folder / "lm")
