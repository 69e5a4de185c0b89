"""`slmkit.load`: a run that has been, or one part by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, overload

from slmkit.api import CodeSpec, Tokenizer, Transcriber, Vocoder
from slmkit.host import build
from slmkit.recipe.chosen import choose
from slmkit.recipe.saved import SavedRun
from slmkit.recipe.saved import load as load_run


@overload
def load(what: str | Path, /) -> SavedRun: ...


@overload
def load(what: Literal["tokenizer"], name: str | Path, /, **options: Any) -> Tokenizer: ...


@overload
def load(
    what: Literal["vocoder"], name: str | Path, /, *, spec: CodeSpec | None = None, **options: Any
) -> Vocoder: ...


@overload
def load(what: Literal["transcriber"], name: str | Path, /, **options: Any) -> Transcriber: ...


@overload
def load(what: str, name: str | Path, /, **options: Any) -> Any: ...


def load(
    what: str | Path,
    name: str | Path | None = None,
    /,
    *,
    spec: CodeSpec | None = None,
    **options: Any,
) -> Any:
    """Open the folder of a run, or build one part.

    >>> run = slmkit.load("runs/speechgpt")
    >>> tokenizer = slmkit.load("tokenizer", "encodec", weights="encodec_24khz.safetensors")
    >>> fitted = slmkit.load("tokenizer", Path("runs/speechgpt"))

    A part is known by kind and name, its options are keywords (`slmkit show NAME`), and a vocoder
    takes the `spec` of the codes that it is to speak. A `Path` instead of a name is the folder of a
    saved part, or of a run whose part in the slot of that kind is wanted; neither takes options.
    Raises OptionsError, UnknownNameError, DataError, and what the part itself raises.
    """
    if name is None:
        return load_run(what)
    given = {} if spec is None else {"spec": spec}
    if isinstance(name, str):
        return build(str(what), name, options, **given)
    if options or given:
        raise TypeError(f"{name} was saved with its options: {', '.join({**options, **given})}")
    return choose(str(what), None, name).build()
