"""Recipes and protocols that come with slmkit, found by name.

In a checkout they lie in `recipes/` and `benchmarks/`; a wheel carries them as data files
(`share/slmkit/recipes`), which its own record of files tells where to find.
"""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from slmkit.api import DataError, UnknownNameError

FOLDER = "recipes"
PROTOCOLS = "benchmarks"
ENDINGS = (".yaml", ".yml")


def shipped_recipes() -> dict[str, Path]:
    """Name and file of every recipe that comes with slmkit."""
    return {file.stem: file for file in _shipped(FOLDER)}


def shipped_protocols() -> Path:
    """The file of the benchmark's protocols. Raises DataError where the installation lacks it."""
    found = [file for file in _shipped(PROTOCOLS) if file.stem == "slmtokbench"]
    if not found:
        raise DataError("slmtokbench.yaml is not in this installation: install slmkit again")
    return found[0]


def _shipped(folder: str) -> list[Path]:
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").is_file() and (checkout / folder).is_dir():
        return sorted((checkout / folder).glob("*.yaml"))
    return sorted(_installed(folder))


def _installed(folder: str) -> list[Path]:
    try:
        record = importlib.metadata.files("slmkit") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    wanted = [
        f for f in record if f.suffix == ".yaml" and f.parent.parts[-2:] == ("slmkit", folder)
    ]
    return [path for path in (Path(str(file.locate())) for file in wanted) if path.is_file()]


def find_recipe(recipe: str | Path) -> Path:
    """The file of a recipe: a path always wins, then the name of a shipped one.

    Raises DataError for a path that is not there, UnknownNameError for a name that is none.
    """
    path = Path(recipe)
    if path.is_file():
        return path
    if path.suffix in ENDINGS or len(path.parts) > 1 or isinstance(recipe, Path):
        raise DataError(f"{path}: no such recipe file")
    shipped = shipped_recipes()
    if str(recipe) not in shipped:
        raise UnknownNameError("recipe", str(recipe), shipped)
    found, here = shipped[str(recipe)].resolve(), Path.cwd()
    return found.relative_to(here) if found.is_relative_to(here) else found
