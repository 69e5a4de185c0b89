"""Imports run downwards only: the rule of docs/architecture.md, read from the source.

An import inside a function counts like one at the top of a file: it says who knows whom. One under
`if TYPE_CHECKING:` does not run and is free of the floors (the contracts of `slmkit.api` speak of
the rooms above), but not of the rule that nobody names a plugin.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LOWER = ("testing", "generation", "lm", "codecs", "data", "host", "api")
MAY_IMPORT = {
    "api": (),
    "host": ("api",),
    "starter": ("host", "api"),
    "testing": ("generation", "lm", "codecs", "data", "host", "api"),
    "data": ("host", "api"),
    "codecs": ("api",),
    "lm": ("codecs", "data", "host", "api"),
    "generation": ("lm", "codecs", "data", "host", "api"),
    "training": LOWER,
    "recipe": ("training", *LOWER),
    "benchmark": ("recipe", "training", *LOWER),
    "web": ("recipe", "training", *LOWER),
    "cli": ("web", "benchmark", "recipe", "training", "starter", *LOWER),
}
# every room may draw; what draws knows none of them
MAY_IMPORT = {room: (*below, "drawing") for room, below in MAY_IMPORT.items()} | {"drawing": ()}
PLUGINS_MAY = {"api", "testing", "codecs", "lm"}
CORPORA_MAY = {"data"}
STAGES_MAY = {"data", "host", "generation", "training", "benchmark"}
NEVER = {"torchaudio", "fairseq", "torchcodec", "librosa", "pickle", "dill", "cloudpickle"}
LIGHT = {"slmkit", "pluggy"}


@dataclass(frozen=True)
class Import:
    """One module that a file imports: where, and whether it runs and when."""

    place: str
    module: str
    for_types: bool
    at_top: bool

    @property
    def top(self) -> str:
        return self.module.split(".")[0]

    @property
    def room(self) -> str | None:
        words = self.module.split(".")
        return words[1] if words[0] == "slmkit" and len(words) > 1 else None


def imports_of(tree: ast.AST, place: str) -> list[Import]:
    """Every import below a tree; relative ones are not used here, and are refused."""
    found: list[Import] = []

    def walk(node: ast.AST, for_types: bool, at_top: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(place, alias.name, for_types, at_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{place}: relative import"
            names = [node.module or ""]
            if node.module == "slmkit":
                names = [f"slmkit.{alias.name}" for alias in node.names]
            found.extend(Import(place, name, for_types, at_top) for name in names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                walk(child, True, at_top)
            for child in node.orelse:
                walk(child, for_types, at_top)
            return
        inside = at_top and not isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
        )
        for child in ast.iter_child_nodes(node):
            walk(child, for_types, inside)

    walk(tree, False, True)
    return found


@cache
def files(*folders: str) -> tuple[tuple[Path, ast.Module], ...]:
    """Every Python file below these folders, parsed."""
    paths = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    assert paths
    return tuple((path.relative_to(ROOT), ast.parse(path.read_text())) for path in paths)


def all_imports(*folders: str) -> Iterator[tuple[Path, Import]]:
    for path, tree in files(*folders):
        for each in imports_of(tree, str(path)):
            yield path, each


def test_the_rooms_are_those_of_the_plan() -> None:
    rooms = {path.name for path in (ROOT / "slmkit").iterdir() if (path / "__init__.py").is_file()}
    assert rooms == set(MAY_IMPORT)


def test_imports_run_downwards() -> None:
    wrong = []
    for path, each in all_imports("slmkit"):
        if each.room is None or each.for_types or len(path.parts) < 3:
            continue
        room = path.parts[1]
        if each.room != room and each.room in MAY_IMPORT and each.room not in MAY_IMPORT[room]:
            wrong.append(f"{each.place} imports {each.module}")
    assert not wrong


def test_the_package_itself_imports_no_room_until_asked() -> None:
    own = [each for _, each in all_imports("slmkit") if each.place == "slmkit/__init__.py"]
    own = [each for each in own if not each.for_types]
    assert {each.top for each in own} <= {"importlib", "typing"}


def test_nothing_imports_a_plugin() -> None:
    names = {path.name for path in (ROOT / "plugins").iterdir()}
    wrong = [each for _, each in all_imports("slmkit") if each.top in names]
    wrong += [each for path, each in all_imports("plugins") if each.top in names - {path.parts[1]}]
    assert not wrong


def offers(package: str, hook: str) -> bool:
    """Whether a plugin package answers a hook."""
    tree = ast.parse((ROOT / "plugins" / package / "plugin.py").read_text())
    return any(isinstance(node, ast.FunctionDef) and node.name == hook for node in tree.body)


def test_plugins_import_what_plugins_may() -> None:
    wrong = []
    for path, each in all_imports("plugins"):
        allowed = set(PLUGINS_MAY)
        if offers(path.parts[1], "slmkit_stages"):
            allowed |= STAGES_MAY
        if offers(path.parts[1], "slmkit_corpora"):
            allowed |= CORPORA_MAY
        if each.room is not None and not each.for_types and each.room not in allowed:
            wrong.append(f"{each.place} imports {each.module}")
    assert not wrong


def test_what_plugins_declare_costs_nothing_to_read() -> None:
    light = LIGHT | set(sys.stdlib_module_names)
    wrong = [
        f"{each.place} imports {each.module}"
        for path, each in all_imports("slmkit", "plugins")
        if path.name == "plugin.py" or path.parts[:2] in {("slmkit", "api"), ("slmkit", "host")}
        if each.at_top and not each.for_types
        if each.top not in light | {path.parts[1]}
    ]
    assert not wrong


def test_drawing_needs_the_standard_library_alone() -> None:
    """`slmkit.api` draws with it, and reads in milliseconds, in a notebook without torch too."""
    allowed = {"slmkit", *sys.stdlib_module_names}
    wrong = [
        f"{each.place} imports {each.module}"
        for _, each in all_imports("slmkit/drawing")
        if not each.for_types
        if each.top not in allowed or each.room not in {None, "drawing"}
    ]
    assert not wrong


def test_commands_import_nothing_heavy_at_the_top() -> None:
    light = LIGHT | {"typer"} | set(sys.stdlib_module_names)
    for path, each in all_imports("slmkit/cli"):
        if each.at_top and not each.for_types:
            assert each.top in light, f"{path} imports {each.module}"
            assert each.room in {None, "api", "cli"}, f"{path} imports {each.module}"


def test_what_must_never_be_imported_is_not() -> None:
    wrong = [
        f"{each.place} imports {each.module}"
        for _, each in all_imports("slmkit", "plugins", "benchmarks")
        if each.top in NEVER
    ]
    assert not wrong


def calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name:
            yield node


def test_nothing_is_printed_or_unpickled() -> None:
    for path, tree in files("slmkit", "plugins"):
        assert not list(calls(tree, "print")), path
        for call in [*calls(tree, "torch.load"), *calls(tree, "load_from_checkpoint")]:
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert given.get("weights_only") == "True", f"{path}:{call.lineno}"
        for call in [*calls(tree, "np.load"), *calls(tree, "numpy.load")]:
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert given.get("allow_pickle", "False") == "False", f"{path}:{call.lineno}"


def test_no_exception_is_swallowed() -> None:
    for path, tree in files("slmkit", "plugins", "benchmarks"):
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{path}:{node.lineno}: bare except"
                empty = all(isinstance(line, ast.Pass) for line in node.body)
                assert not empty, f"{path}:{node.lineno}: an exception passes unseen"


def test_files_and_functions_stay_readable() -> None:
    for path, tree in files("slmkit", "plugins"):
        lines = len((ROOT / path).read_text().splitlines())
        assert lines <= 450, f"{path} has {lines} lines"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
                if node.name.startswith("slmkit_"):
                    continue  # the answer to a hook is a table
                length = node.end_lineno - node.lineno + 1
                assert length <= 70, f"{path}:{node.lineno}: {node.name} has {length} lines"


def test_what_is_imported_is_declared() -> None:
    """Every third-party import belongs to a distribution that pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        lines += extra
    declared = {_plain(re.split(r"[\[<>=!~ ;]", line)[0]) for line in lines}
    own = {path.name for path in (ROOT / "plugins").iterdir()} | {"slmkit"}
    owners = packages_distributions()
    wrong = {
        f"{each.place} imports {each.module}"
        for _, each in all_imports("slmkit", "plugins")
        if each.top not in own | set(sys.stdlib_module_names)
        if not declared & {_plain(name) for name in owners.get(each.top, [each.top])}
    }
    assert not wrong


def _plain(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


@pytest.mark.parametrize("module", ["slmkit", "slmkit.api", "slmkit.host", "slmkit.cli.main"])
def test_the_front_door_imports_no_torch(module: str) -> None:
    code = f"import sys, {module}; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_reader_of_imports_reads() -> None:
    """The laws above hold nothing if the reader overlooks an import."""
    source = """
import slmkit.recipe.engine
from slmkit import lm
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import torch
else:
    import numpy
def f():
    try:
        from slmkit_mel.mel_km import MelKm
    except ImportError:
        pass
class C:
    import json
"""
    found = {(i.module, i.for_types, i.at_top) for i in imports_of(ast.parse(source), "x")}
    assert found == {
        ("slmkit.recipe.engine", False, True),
        ("slmkit.lm", False, True),
        ("typing", False, True),
        ("torch", True, True),
        ("numpy", False, True),
        ("slmkit_mel.mel_km", False, False),
        ("json", False, True),
    }
    with pytest.raises(AssertionError, match="relative"):
        imports_of(ast.parse("from . import sibling"), "x")
