"""slmkit: a toolkit for speech language models whose every part is a plug-in."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slmkit.recipe.engine import RunResult, run
    from slmkit.recipe.saved import SavedRun, load

__version__ = "0.1.0"

__all__ = ["RunResult", "SavedRun", "__version__", "load", "run"]

_LAZY = {
    "run": "slmkit.recipe.engine",
    "RunResult": "slmkit.recipe.engine",
    "load": "slmkit.recipe.saved",
    "SavedRun": "slmkit.recipe.saved",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'slmkit' has no attribute '{name}'")
