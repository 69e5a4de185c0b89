"""The packages `encodec` and `speechtokenizer`, imported where torchaudio is not.

Both import torchaudio as they load, to read files and to train; their codecs never call it. While
they load, an empty stand-in answers to that name; afterwards it is gone, so that nothing else takes
it for the real one. What asks it for something is told so.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

STANDS_IN = {
    "encodec": "torchaudio",
    # its trainer asks for torchaudio and for packages that it does not declare
    "speechtokenizer": "speechtokenizer.trainer",
}


class StandIn(ModuleType):
    """A module that can be imported, and nothing more."""

    SpeechTokenizerTrainer = None

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)

    def __getattr__(self, attribute: str) -> Any:
        raise AttributeError(f"{attribute}: this is a stand-in for '{self.__name__}'")


def load_reference(package: str) -> ModuleType:
    """Import `encodec` or `speechtokenizer`. Raises ModuleNotFoundError where it is not there."""
    if package in sys.modules:
        return sys.modules[package]
    stand_in = STANDS_IN[package]
    before = sys.modules.get(stand_in)
    sys.modules[stand_in] = StandIn(stand_in)
    try:
        return importlib.import_module(package)
    finally:
        del sys.modules[stand_in]
        if before is not None:
            sys.modules[stand_in] = before
