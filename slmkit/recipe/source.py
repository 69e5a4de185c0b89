"""A hash of the source that a part runs, for packages under development.

An installed package is known by its version. One that is imported from a checkout changes without
a new version, so its source counts: the module that the part lives in and all that this imports,
as far as it too lies in a checkout. Comments, layout and docstrings do not count.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path

INSTALLED = ("site-packages", "dist-packages")
NEUTRAL = ("slmkit.host",)
"""Finding and loading parts changes nothing of what they compute."""
CODE = (".py", ".pyc", ".pyi")


def source_hash(target: str) -> str | None:
    """The hash of what "module:name" runs; None where the module is installed for good."""
    module = target.partition(":")[0]
    file = _file(module)
    if file is None:
        return None
    sources = _reached(module)
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(f"{name}={_outline(sources[name])[0]}\n".encode())
    for data in sorted(_data_beside(file)):
        digest.update(f"{data.name}={hashlib.sha256(data.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _reached(module: str) -> dict[str, Path]:
    """Modules in checkouts that a module imports, itself and imports inside functions included."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or name.startswith(NEUTRAL):
            continue
        file = _file(name)
        if file is None:
            continue
        found[name] = file
        imported = _outline(file)[1]
        waiting += [absolute(each, name, file) for each in imported]
        parent = name.rpartition(".")[0]
        if parent:
            waiting.append(parent)
    return found


def absolute(imported: str, module: str, file: Path) -> str:
    """The full name of what a module imports: `..x` in `a.b.c` is `a.x`."""
    level = len(imported) - len(imported.lstrip("."))
    if level == 0:
        return imported
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    base = package[: len(package) - level + 1]
    return ".".join([*base, imported.lstrip(".")]).rstrip(".")


@cache
def _outline(file: Path) -> tuple[str, tuple[str, ...]]:
    """The hash of a file's code, and the names that it imports."""
    text = file.read_bytes()
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return hashlib.sha256(text).hexdigest(), ()
    imported = tuple(_imports(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [each for each in node.body if not _is_text(each)] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imported


def _imports(node: ast.AST) -> Iterator[str]:
    """The names that a tree imports, but for what only type checkers read."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = "." * node.level + (node.module or "")
        yield base
        # `from package import module` names a module, or something inside the package
        joint = "" if base.endswith(".") else "."
        yield from (f"{base}{joint}{alias.name}" for alias in node.names)
    elif isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
        for branch in node.orelse:
            yield from _imports(branch)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _imports(child)


def _is_text(node: ast.stmt) -> bool:
    """Whether a statement is a bare string: a docstring."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
        return False
    return isinstance(node.value.value, str)


@cache
def _file(module: str) -> Path | None:
    """The source of a module that lies in a checkout. Imports nothing."""
    top, *inner = module.split(".")
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return None
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    if not inner and spec.origin is not None:
        return _in_checkout(Path(spec.origin))
    for folder in spec.submodule_search_locations or ():
        base = Path(folder).joinpath(*inner)
        for candidate in (base.with_suffix(".py"), base / "__init__.py"):
            if candidate.is_file():
                return _in_checkout(candidate)
    return None


def _in_checkout(file: Path) -> Path | None:
    installed = any(part in INSTALLED for part in file.parts)
    standard = file.is_relative_to(sysconfig.get_path("stdlib"))
    return None if installed or standard or file.suffix != ".py" else file


def _data_beside(file: Path) -> list[Path]:
    """Templates, tables and the like in the folder of a part's module."""
    if not (file.parent / "__init__.py").is_file():
        return []
    return [f for f in file.parent.iterdir() if f.is_file() and f.suffix not in CODE]
