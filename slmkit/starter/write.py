"""From templates to a package: real files, in which `string.Template` puts the names."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template

import slmkit
from slmkit.api import HOOK_OF_KIND, SlmkitError, UnknownNameError
from slmkit.starter.kinds import SAMPLES
from slmkit.starter.names import check_name, check_place, class_of, package_of

ANY = "any-name"
SHARED = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "LICENSE": "LICENSE",
    ".gitignore": "gitignore",
    ".github/workflows/tests.yml": "tests.yml",
    "$package/__init__.py": "init.py",
    "tests/test_laws.py": "test_laws.py",
}
"""Where each template goes that all kinds have in common."""

OF_KIND = {
    "$package/plugin.py": "plugin.py",
    "$package/$module.py": "part.py",
    "tests/test_$module.py": "test_part.py",
}


def new_plugin(name: str, kind: str, parent: Path) -> Path:
    """Write the package of a plugin with one small part that works; gives its folder.

    It lies in `parent`, under its name. Nothing is written before everything is known to be right.
    Raises SlmkitError for a name that is not free or no name, and where something lies in the way;
    UnknownNameError for a kind that there is none of.
    """
    if kind not in HOOK_OF_KIND:
        raise UnknownNameError("kind of part", kind, HOOK_OF_KIND)
    check_name(name, kind)
    _check_words(name, kind)
    folder = parent / name
    check_place(folder)
    made = render(name, kind)
    for path, text in made.items():
        file = folder / path
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        except OSError as error:
            raise SlmkitError(f"{file}: cannot be written: {error.strerror}") from None
    return folder


def render(name: str, kind: str) -> dict[str, str]:
    """The path and the text of each file of a new package."""
    values = _values(name, kind)
    shared = {path: f"shared/{file}" for path, file in SHARED.items()}
    own = {path: f"{kind}/{file}" for path, file in OF_KIND.items()}
    return {
        Template(path).substitute(values): Template(_template(file)).substitute(values)
        for path, file in {**shared, **own}.items()
    }


def _check_words(name: str, kind: str) -> None:
    """Raise SlmkitError for a name whose class would be called as something that its files use."""
    words = set()
    for path, text in render(ANY, kind).items():
        for node in ast.walk(ast.parse(text)) if path.endswith(".py") else ():
            if isinstance(node, ast.Name):
                words.add(node.id)
            elif isinstance(node, ast.alias | ast.ClassDef | ast.FunctionDef):
                words.add(node.name)
    words -= {class_of(ANY), package_of(ANY)}
    called = package_of(name) if kind == "stage" else class_of(name)
    if called in words:
        raise SlmkitError(
            f"'{name}': the part would be called {called}, as something else that it uses: choose "
            f"another name, such as 'my-{name}'"
        )


def bounds(version: str) -> str:
    """The versions of slmkit that a plugin made beside this one says it takes: `>=0.1,<1`."""
    major, minor = version.split(".")[:2]
    return f">={major}.{minor},<{int(major) + 1}"


def _values(name: str, kind: str) -> Mapping[str, str]:
    sample = SAMPLES[kind]
    values = {
        "name": name,
        "package": package_of(name),
        "part": class_of(name),
        "function": package_of(name),
        "kind": kind,
        "module": kind.replace("-", "_"),
        "slot": kind,
        "summary": sample.summary,
        "bounds": bounds(slmkit.__version__),
    }
    return {**values, "use": Template(sample.use).substitute(values)}


def _template(file: str) -> str:
    # the ending keeps tools for Python away from what is not Python yet
    return (files("slmkit.starter") / "templates" / f"{file}.txt").read_text()
