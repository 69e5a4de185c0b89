"""The messages of all errors, collected from where they are raised."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from slmkit.api import SlmkitError, errors
from website.markup import cell, code, table

ROOT = Path(__file__).resolve().parents[1]
GAP = "…"
"""Stands for what a message fills in."""
SAYS_SOMETHING = 12
"""Letters that a text must have of its own."""


@dataclass(frozen=True)
class Message:
    """One message: the class that is raised, its text with gaps, and the file."""

    error: str
    text: str
    file: str

    def fits(self, said: str) -> bool:
        """Whether a message that somebody has met may be this one, its place before it or not."""
        first, *pieces = self.text.split(GAP)
        # cheap, and false for nearly all of them
        if not all(piece in said for piece in (first, *pieces)):
            return False
        pattern = "(.*)".join(re.escape(piece) for piece in (first, *pieces))
        return re.fullmatch(f"(.+: )?{pattern}", said, re.DOTALL) is not None


@cache
def messages() -> tuple[Message, ...]:
    """Every message whose text stands where it is raised."""
    classes = _classes()
    found = []
    for folder in ("slmkit", "plugins"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for name, text in _raised(ast.parse(file.read_text())):
                if name == "UnknownNameError":
                    text = f"unknown {text} '{GAP}'; {GAP}"
                if name in classes and len(text.replace(GAP, "").strip()) > 3:
                    found.append(Message(name, text, str(file.relative_to(ROOT))))
    return tuple(found)


@cache
def sources() -> tuple[Message, ...]:
    """Those, and every longer text of the code: some messages are put together before they are
    raised, or say first where something is."""
    found = list(messages())
    for file in sorted([*(ROOT / "slmkit").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]):
        for node in ast.walk(ast.parse(file.read_text())):
            text = _text(node) if isinstance(node, ast.JoinedStr | ast.Constant) else None
            # one that is filled in, now or later by `format`
            text = re.sub(rf"(\{{\w+\}}|{GAP})+", GAP, text or "")
            if GAP in text and len(text.replace(GAP, "").strip()) >= SAYS_SOMETHING:
                found.append(Message("", text, str(file.relative_to(ROOT))))
    return tuple(found)


def message_page() -> str:
    """All messages, by the class of the error."""
    pieces = [
        "# Error messages",
        f"Every message that slmkit and its parts write themselves, {GAP} for what is filled in. "
        "On the command line it stands behind `error:`; in Python the error is of the class above "
        "it. [Troubleshooting](troubleshooting.md) explains those that are met most.",
    ]
    for name, kind in _classes().items():
        rows = sorted({(cell(m.text), code(m.file)) for m in messages() if m.error == name})
        if rows:
            about = f"{inspect.getdoc(kind)} Exit code {kind.exit_code}."
            pieces.append(f"## {name}\n\n{about}\n\n{table(['message', 'from'], rows)}")
    return "\n\n".join(pieces)


def _classes() -> dict[str, type[SlmkitError]]:
    return {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, SlmkitError)
    }


def _raised(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(class, text) of every error that is made with a text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if node.args and (text := _text(node.args[0])) is not None:
                yield name, text


def _text(node: ast.expr) -> str | None:
    """A string with gaps, or None for what is none."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        pieces = [
            str(each.value) if isinstance(each, ast.Constant) else GAP for each in node.values
        ]
        return re.sub(f"{GAP}+", GAP, "".join(pieces))
    return None
