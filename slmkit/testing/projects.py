"""A package that is not installed, put where it would be: found, imported and checked all the same.

What installing would leave for slmkit to find is a folder of metadata; it is written to a passing
place at the head of the search path, and the sources stay where they are.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from slmkit.api import SlmkitError
from slmkit.host import host
from slmkit.host.registry import GROUP


@contextmanager
def as_if_installed(folder: Path) -> Iterator[str]:
    """For the length of a `with` block a project counts as installed; gives its name.

    Raises SlmkitError where pyproject.toml does not say enough to tell what would be installed.
    """
    project = _project(folder)
    points = _points(folder, project)
    roots = sorted({str(_root(folder, project, module)) for module in points.values()})
    before = list(sys.path)
    with tempfile.TemporaryDirectory() as passing:
        name = _write_metadata(Path(passing), folder, project["project"], points)
        sys.path[:0] = [passing, *roots]
        importlib.invalidate_caches()
        host.cache_clear()
        try:
            yield name
        finally:
            sys.path[:] = before
            importlib.invalidate_caches()
            host.cache_clear()


def _project(folder: Path) -> dict[str, Any]:
    file = folder / "pyproject.toml"
    try:
        found = tomllib.loads(file.read_text())
    except FileNotFoundError:
        raise SlmkitError(
            f"{folder}: no pyproject.toml: install it (pip install {folder}), and give its name"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SlmkitError(f"{file}: not TOML: {error}") from None
    if "name" not in found.get("project", {}):
        raise SlmkitError(f"{file}: [project] has no name")
    return found


def _points(folder: Path, project: Mapping[str, Any]) -> dict[str, str]:
    points: dict[str, str] = project["project"].get("entry-points", {}).get(GROUP, {})
    if points:
        return points
    where = folder / "pyproject.toml"
    if "entry-points" in project["project"].get("dynamic", ()):
        raise SlmkitError(
            f"{where}: its entry points are dynamic: install it (pip install -e {folder}), and "
            f"give its name, {project['project']['name']}"
        )
    raise SlmkitError(no_entry_point(str(where)))


def no_entry_point(where: str) -> str:
    """What to say of a package that slmkit would not find."""
    return (
        f"{where}: no entry point in the group '{GROUP}', so slmkit does not find it; add to its "
        f'pyproject.toml [project.entry-points.{GROUP}] with a line such as mine = "mine.plugin"'
    )


def _root(folder: Path, project: Mapping[str, Any], point: str) -> Path:
    """The folder from which the module of an entry point is imported."""
    top = point.partition(":")[0].split(".")[0].strip()
    setuptools = project.get("tool", {}).get("setuptools", {})
    packages = setuptools.get("packages", {})
    find = packages.get("find", {}) if isinstance(packages, dict) else {}
    told = [*find.get("where", ()), setuptools.get("package-dir", {}).get("", ".")]
    for root in (folder / each for each in (*told, ".", "src")):
        if (root / top).is_dir() or (root / f"{top}.py").is_file():
            return Path(root).resolve()
    raise SlmkitError(
        f"{folder}: its module '{top}' lies neither there nor in src/: install it (pip install -e "
        f"{folder}), and give its name, {project['project']['name']}"
    )


def _write_metadata(
    passing: Path, folder: Path, project: Mapping[str, Any], points: Mapping[str, str]
) -> str:
    """What pip would have written, as far as it concerns slmkit; gives the name."""
    name, version = str(project["name"]), str(project.get("version", "0"))
    info = passing / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    needs = [f"Requires-Dist: {line}" for line in project.get("dependencies", ())]
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *needs]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    entries = [f"{point} = {module}" for point, module in points.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *entries]) + "\n")
    return name
