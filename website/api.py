"""Pages of the Python interface: names and modules listed here, their text by mkdocstrings."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import slmkit
from slmkit import api

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {
    "generation": "The one loop, sampling, refiners at work, and speech while it is being made.",
    "lm": "Vocabulary, segments on a grid, and the speech language model.",
    "testing": "The laws that every part must keep; with pytest they are fixtures.",
}


def api_pages() -> Iterator[tuple[str, str]]:
    """(path, Markdown) of every page of the interface."""
    yield "api/slmkit.md", _front()
    yield "api/api.md", _names()
    for room, about in ROOMS.items():
        yield f"api/{room}.md", _room(room, about)


def _front() -> str:
    """What `import slmkit` gives."""
    lazy = slmkit._LAZY
    blocks = [f"::: {lazy[name]}.{name}" for name in slmkit.__all__ if name in lazy]
    rows = [
        "- [`slmkit.api`](api.md): everything that the author of a part reads",
        *(f"- [`slmkit.{room}`]({room}.md): {about}" for room, about in ROOMS.items()),
    ]
    said = "Names of `slmkit` itself; each is imported when it is first used."
    return "\n\n".join(["# slmkit", said, *blocks, "## More of it", "\n".join(rows)])


def _names() -> str:
    """The public names of `slmkit.api`, by the file in which they stand."""
    files: dict[str, list[str]] = {}
    for name in api.__all__:
        files.setdefault(_home(name), []).append(name)
    pieces = ["# slmkit.api", str(inspect.getdoc(api))]
    for module, names in sorted(files.items()):
        pieces.append(f"## {module}\n\n{_opening(module)}")
        pieces += [f"::: {module}.{name}" for name in names]
    return "\n\n".join(pieces)


def _home(name: str) -> str:
    """The module of `slmkit.api` that defines a name, read from its source."""
    for file in sorted((ROOT / "slmkit/api").glob("*.py")):
        for node in ast.parse(file.read_text()).body:
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            names = {t.id for t in targets if isinstance(t, ast.Name)} | {getattr(node, "name", "")}
            if name in names:
                return f"slmkit.api.{file.stem}"
    raise LookupError(f"slmkit.api.{name} is defined in no file of slmkit/api")


def _room(room: str, about: str) -> str:
    """Every module of a room with its public names."""
    pieces = [f"# slmkit.{room}", about]
    for file in sorted((ROOT / "slmkit" / room).glob("[!_]*.py")):
        module = f"slmkit.{room}.{file.stem}"
        names = [
            node.name
            for node in ast.parse(file.read_text()).body
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
        ]
        pieces.append(f"## {module}\n\n{_opening(module)}")
        pieces += [f"::: {module}.{name}" for name in names]
    return "\n\n".join(pieces)


def _opening(module: str) -> str:
    """The docstring of a module."""
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    return ast.get_docstring(ast.parse(source)) or ""
