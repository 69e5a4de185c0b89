"""A recipe file as plain values, with the line of every key.

OmegaConf and PyYAML's constructors forget where a value stood; so the YAML nodes are composed
first, and values are taken from them one by one. Scalars follow YAML 1.2: `no` is a word, `1e-4`
is a number, and `010` is ten. Of YAML 1.1 the key `<<` is kept, which takes over another mapping.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slmkit.api import OptionsError

Key = tuple[str, ...]
"""Where a value stands: the keys from the top of the file down to it."""

MOST_NODES = 50_000
"""Aliases can blow a short file up without end; no recipe comes near this."""


@dataclass(frozen=True)
class Document:
    """A recipe file.

    Attributes:
        path: of the file.
        values: what it says, as dicts, lists and scalars.
        lines: of each key that stands in it, counted from 1.
        faults: what is wrong with it as YAML (a key given twice, a key that is no word).
    """

    path: Path
    values: dict[str, Any]
    lines: Mapping[Key, int]
    faults: tuple[str, ...]

    def place(self, key: Key) -> str:
        """FILE:LINE of a key, or of the nearest one above it."""
        while key and key not in self.lines:
            key = key[:-1]
        return f"{self.path}:{self.lines.get(key, 1)}"


def read_document(path: Path) -> Document:
    """Read a recipe file. Raises OptionsError where it is no YAML mapping."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise OptionsError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise OptionsError([f"{path}: is not UTF-8 text: {error.reason}"]) from None
    node = _compose(text, str(path))
    if not isinstance(node, yaml.MappingNode):
        line = node.start_mark.line + 1 if node is not None else 1
        raise OptionsError([f"{path}:{line}: a recipe is a mapping with parts and stages"])
    reader = _Reader(path)
    values = reader.value(node, ())
    return Document(path, values, reader.lines, tuple(reader.faults))


def read_value(text: str) -> Any:
    """A value as it is written after `=` on the command line. Raises ValueError."""
    try:
        node = _compose(text, "value")
        if node is None:
            return None
        reader = _Reader(Path("value"))
        value = reader.value(node, ())
    except OptionsError as error:
        raise ValueError(error.faults[0].partition(": ")[2]) from None
    if reader.faults:
        raise ValueError(reader.faults[0].partition(": ")[2])
    return value


class _Loader(yaml.SafeLoader):
    """Composes nodes whose plain scalars carry the tags of YAML 1.2's core schema."""


_Loader.yaml_implicit_resolvers = {}

for _tag, _pattern, _first in [
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^(?:[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    (
        "float",
        r"^(?:[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+0123456789."),
    ),
]:
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def _compose(text: str, name: str) -> yaml.Node | None:
    """The one node of a YAML text; None where it is empty."""
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        lines = text.splitlines()
        hint = "; write '${...}' in quotes" if "${" in "".join(lines[line - 1 : line]) else ""
        raise OptionsError([f"{name}:{line}: not YAML: {error.problem}{hint}"]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise OptionsError([f"{name}:{line}: not YAML: {error.reason}"]) from None
    except (RecursionError, ValueError) as error:
        # PyYAML raises ValueError for escapes beyond Unicode
        raise OptionsError([f"{name}: not YAML: {error}"]) from None


class _Reader:
    """Turns nodes into values, noting lines and faults."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Key, int] = {}
        self.faults: list[str] = []
        self._open: list[yaml.Node] = []
        self._nodes = 0

    def value(self, node: yaml.Node, key: Key) -> Any:
        """The plain value of a node that stands under a key."""
        self._nodes += 1
        if any(node is above for above in self._open) or self._nodes > MOST_NODES:
            if self._nodes <= MOST_NODES + 1:
                self._fault(node, key, "an alias that holds itself, or far too many aliases")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, key)
        self._open.append(node)
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.value(each, key) for each in node.value]
            return self._mapping(node, key)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.Node, key: Key) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        for name_node, value_node in node.value:
            if not isinstance(name_node, yaml.ScalarNode):
                self._fault(name_node, key, "a key must be a word")
                continue
            if name_node.value == "<<" and name_node.style is None:
                merged.append(value_node)
                continue
            inner = (*key, name_node.value)
            if name_node.value in values:
                first = self.lines[inner]
                self._fault(name_node, inner, f"given twice, first in line {first}")
                continue
            self.lines[inner] = name_node.start_mark.line + 1
            values[name_node.value] = self.value(value_node, inner)
        for each in merged:
            values = {**self._merged(each, key, set(values)), **values}
        return values

    def _merged(self, node: yaml.Node, key: Key, given: set[str]) -> dict[str, Any]:
        """What stands under `<<`: another mapping's values, of which those `given` beside it are
        left out."""
        itself = any(node is above for above in self._open)
        if itself or not isinstance(node, yaml.MappingNode):
            self._fault(node, key, "'<<' takes another mapping: '*name', where one is '&name'")
            return {}
        kept = [
            (name, value)
            for name, value in node.value
            if not (isinstance(name, yaml.ScalarNode) and name.value in given)
        ]
        found = self.value(yaml.MappingNode(node.tag, kept, node.start_mark, node.end_mark), key)
        return dict(found or {})

    def _scalar(self, node: yaml.ScalarNode, key: Key) -> Any:
        kind = node.tag.rpartition(":")[2]
        text: str = node.value
        try:
            if kind == "null":
                return None
            if kind == "bool":
                return {"true": True, "false": False}[text.lower()]
            if kind == "int":
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            if kind == "float":
                return float(re.sub(r"\.(inf|nan)$", r"\1", text.lower()))
            if kind == "str":
                return text
        except (ValueError, KeyError):
            self._fault(node, key, f"{text[:40]!r} is not of type {kind}")
            return None
        self._fault(node, key, f"the tag {node.tag!r} means nothing here")
        return None

    def _fault(self, node: yaml.Node, key: Key, problem: str) -> None:
        line = node.start_mark.line + 1
        self.faults.append(f"{self.path}:{line}: key '{'.'.join(key)}': {problem}")
