"""What a shell offers when Tab is pressed: kinds, parts, recipes and runs. Imports no torch."""

from __future__ import annotations

from slmkit.api import KINDS


def complete_kind(incomplete: str) -> list[str]:
    """The kinds of parts."""
    return [kind for kind in KINDS if kind.startswith(incomplete)]
