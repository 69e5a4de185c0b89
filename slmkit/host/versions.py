"""For which slmkit a plugin was made: what its distribution says that it requires."""

from __future__ import annotations

from collections.abc import Iterable

import slmkit
from slmkit.api import BrokenPluginError


def made_for(requirements: Iterable[str]) -> str:
    """The versions of slmkit that requirements (PEP 508 lines) allow, as in `>=0.1,<1`; nothing
    where they do not say. What only an extra asks for does not count."""
    # some 20 ms, which nobody pays who has no plugins but slmkit's own
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    allowed = []
    for line in requirements:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        marker = requirement.marker
        if canonicalize_name(requirement.name) == "slmkit" and (
            marker is None or marker.evaluate({"extra": ""})
        ):
            allowed.append(str(requirement.specifier))
    return ",".join(filter(None, allowed))


def check_made_for(distribution: str, requirements: Iterable[str]) -> None:
    """Raise BrokenPluginError where a distribution was made for another slmkit than this one.

    pip sees to this when it installs; `--no-deps`, an upgrade of slmkit alone and editable
    checkouts go past it, and the plugin would then fail later, somewhere, in words of its own.
    """
    from packaging.specifiers import SpecifierSet

    wanted = made_for(requirements)
    if SpecifierSet(wanted).contains(slmkit.__version__, prereleases=True):
        return
    raise BrokenPluginError(
        f"made for slmkit {wanted}, and this is slmkit {slmkit.__version__}: pip install "
        f"--upgrade {distribution}, or pip install 'slmkit{wanted}'"
    )
