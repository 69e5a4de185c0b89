"""What a new package may be called."""

from __future__ import annotations

import builtins
import importlib.util
import keyword
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from slmkit.api import SlmkitError
from slmkit.host import host

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
RESERVED = "slmkit"
FOLDERS = {"tests", "build", "dist", "docs"}
LONGEST = 30
"""Characters; lines of the package hold its name and are to fit in a hundred."""


def package_of(name: str) -> str:
    """The import name of a package: `my-codec` -> `my_codec`."""
    return name.replace("-", "_")


def class_of(name: str) -> str:
    """The name of its class: `my-codec` -> `MyCodec`."""
    return "".join(word.capitalize() for word in name.split("-"))


def check_name(name: str, kind: str) -> None:
    """Raise SlmkitError for a name that cannot be a distribution, a package and a part at once."""
    if not NAME.fullmatch(name):
        hint = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower())
        hint = hint.strip("-0123456789")
        mend = f": '{hint}' would do" if NAME.fullmatch(hint) else ""
        raise SlmkitError(
            f"'{name}' is no name of a plugin: lower case letters and digits, a letter first, "
            f"dashes between words{mend}"
        )
    if len(name) > LONGEST:
        raise SlmkitError(f"'{name}' has {len(name)} characters: give a name of at most {LONGEST}")
    package = package_of(name)
    if package == RESERVED or package.startswith(f"{RESERVED}_"):
        raise SlmkitError(
            f"'{name}': import names that begin with '{RESERVED}_' are reserved for slmkit's own "
            f"parts; put your own name first, as in '{name.removeprefix('slmkit-')}-for-slmkit'"
        )
    known = keyword.iskeyword(package) or hasattr(builtins, package)
    if known or package in sys.stdlib_module_names:
        raise SlmkitError(f"'{name}' is a word or module of Python itself: choose another name")
    if package in FOLDERS:
        raise SlmkitError(f"'{name}' is the name of another folder of a package: choose another")
    _check_free(name, package, kind)


def _check_free(name: str, package: str, kind: str) -> None:
    """Raise SlmkitError where a part, a distribution or a module has the name already."""
    offered = [part for part in host().parts(kind) if part.name == name]
    if offered:
        raise SlmkitError(
            f"{offered[0].distribution} offers a {kind} '{name}' already: choose another name"
        )
    try:
        distribution(name)
    except PackageNotFoundError:
        spec = importlib.util.find_spec(package)
        # a folder of that name is found too where one stands beside it; it is no module
        if spec is not None and spec.origin is not None:
            raise SlmkitError(
                f"'{name}': a module {package} is installed already ({spec.origin}): choose another"
            ) from None
        return
    raise SlmkitError(f"a package '{name}' is installed already: choose another name")


def check_place(folder: Path) -> None:
    """Raise SlmkitError where something lies in the way."""
    if folder.is_symlink() or folder.exists():
        raise SlmkitError(f"{folder}: is there already; give another name, or --output")
