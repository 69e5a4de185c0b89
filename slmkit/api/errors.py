"""The errors a person can meet; each carries one line that says what, where, and how to mend it.

The command line turns them into that line and an exit code; in Python they are raised as they are.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class SlmkitError(Exception):
    """Something slmkit refuses or cannot do. `exit_code` is what the command line ends with."""

    exit_code = 2


class UnknownNameError(SlmkitError):
    """A name that nothing answers to; the message offers the nearest ones."""

    def __init__(self, what: str, name: str, known: Iterable[str], where: str = "") -> None:
        known = sorted(known)
        place = f"{where}: " if where else ""
        near = nearest(name, known)
        if near:
            hint = f"did you mean {' or '.join(near)}?"
        else:
            hint = f"known: {', '.join(known) or 'none'}"
        super().__init__(f"{place}unknown {what} '{name}'; {hint}")
        self.name = name
        self.near = near


class OptionsError(SlmkitError):
    """Options that do not fit their declaration: all faults at once, a line each."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(fault.replace("\n", "\\n") for fault in faults)
        super().__init__("\n".join(self.faults))


class MisfitError(SlmkitError):
    """Parts that each are fine but cannot work together."""


class MissingDependencyError(SlmkitError):
    """A part needs a package that is not installed; the message holds the command that mends it."""


class BrokenPluginError(SlmkitError):
    """A plugin that cannot be imported, misspells a hook, or breaks a contract."""

    exit_code = 3


class AudioError(SlmkitError):
    """A sound that cannot be read or used: missing, broken, empty, or not finite."""


class DataError(SlmkitError):
    """A manifest, token store, or corpus that does not hold what it should."""


class WeightsError(SlmkitError):
    """Weights that do not fit: missing or unexpected keys, another layout, an unsafe format."""


class VocabularyError(SlmkitError):
    """A checkpoint, store or recipe made for another vocabulary layout."""


class StageError(SlmkitError):
    """A stage of a recipe that could not finish; what it had made stays usable."""

    exit_code = 1


class DiskFullError(StageError):
    """The disk ran full in the middle of a stage; the message says what to free."""

    exit_code = 2


def nearest(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Up to `most` of the known names that look like `name`, the best first."""
    known = list(known)
    found = difflib.get_close_matches(name, known, n=most, cutoff=0.6)
    return found + [k for k in known if k not in found and name and name in k][: most - len(found)]
