"""What a shell offers when Tab is pressed: kinds, parts, recipes, runs. Nothing here needs torch.

Each function takes what is typed so far and gives what may stand there; where it gives nothing the
shell completes files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from slmkit.api import KINDS, SlmkitError

RUNS = "runs"
"""Where runs lie unless told otherwise."""


def complete_kind(incomplete: str) -> list[str]:
    """The kinds of parts."""
    return _begun(KINDS, incomplete)


def complete_part_or_kind(incomplete: str) -> list[str]:
    """The names of all parts, and kinds, which may stand before them."""
    return _begun([*_parts(None), *KINDS], incomplete)


def complete_part(kind: str) -> Callable[[str], list[str]]:
    """A function that completes the names of one kind's parts."""

    def complete(incomplete: str) -> list[str]:
        return _begun(_parts(kind), incomplete)

    return complete


def complete_plugin(incomplete: str) -> list[str]:
    """Installed packages that offer parts."""
    from importlib.metadata import entry_points

    from slmkit.host.registry import GROUP, distribution_of

    return _begun({distribution_of(point) for point in entry_points(group=GROUP)}, incomplete)


def complete_recipe(incomplete: str) -> list[str]:
    """Shipped recipes by name; files are the shell's business."""
    from slmkit.recipe.shipped import shipped_recipes

    return _begun(shipped_recipes(), incomplete)


def complete_run(incomplete: str) -> list[str]:
    """Folders of runs, here and in `runs/`."""
    places = [*Path(RUNS).glob("*/run.json"), *Path().glob("*/run.json")]
    return _begun((str(place.parent) for place in places), incomplete)


def complete_run_or_part(kind: str) -> Callable[[str], list[str]]:
    """A function that completes the names of one kind's parts, and runs."""

    def complete(incomplete: str) -> list[str]:
        return [*_begun(_parts(kind), incomplete), *complete_run(incomplete)]

    return complete


def _parts(kind: str | None) -> list[str]:
    from slmkit.host import host

    try:
        return [part.name for part in host().parts(kind)]
    except SlmkitError:
        # a wrong SLMKIT_PLUGINS is told of by the command itself, not in the middle of its line
        return []


def _begun(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})
