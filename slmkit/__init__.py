"""slmkit: a toolkit for speech language models whose every part is a plug-in.

A recipe, and a run that has been:

    run = slmkit.run("speechgpt")
    run = slmkit.load("runs/speechgpt")

One part by name, here a speech tokenizer; `wav` is float32 [batch, samples] in -1..1 at the
tokenizer's own rate, `lengths` int64 [batch] the samples of each row that are real:

    tokenizer = slmkit.load("tokenizer", "encodec", weights="encodec_24khz.safetensors")
    codes = tokenizer.encode(wav, lengths)      # codes.values: int64 [batch, codebooks, frames]
    wav, lengths = tokenizer.decode(codes)      # where it has a decoder

Live, where it streams, in chunks of any length; what is carried from one to the next is a value:

    state = tokenizer.empty_state(batch=1)
    for chunk in microphone:                    # float32 [1, samples]
        codes, state = tokenizer.step(chunk, state)
    codes = tokenizer.finish(state)             # the frames that are left

In a notebook codes, segments, grids, results and runs show themselves as the last line of a cell;
`slmkit.show(...)` shows several, or a list of them, and `slmkit.Sound(wav, sample_rate)` plays.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slmkit.data.sound import Sound
    from slmkit.recipe.engine import RunResult, run
    from slmkit.recipe.loading import load
    from slmkit.recipe.saved import SavedRun
    from slmkit.recipe.showing import show

__version__ = "0.1.0"

__all__ = ["RunResult", "SavedRun", "Sound", "__version__", "load", "run", "show"]

_LAZY = {
    "run": "slmkit.recipe.engine",
    "RunResult": "slmkit.recipe.engine",
    "load": "slmkit.recipe.loading",
    "SavedRun": "slmkit.recipe.saved",
    "Sound": "slmkit.data.sound",
    "show": "slmkit.recipe.showing",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'slmkit' has no attribute '{name}'")
