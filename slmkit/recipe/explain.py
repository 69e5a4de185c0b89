"""A resolved recipe as YAML, a comment behind each value saying where it comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from slmkit.recipe.document import Key
from slmkit.recipe.model import Recipe

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*")
"""Texts that may need no quotes."""

WIDEST = 60
"""Comments begin in one column, but for lines longer than this."""


def explain(recipe: Recipe) -> str:
    """The whole recipe; what it prints is a recipe again."""
    lines = list(_lines(recipe, recipe.plain(), ()))
    column = max((len(text) for text, _ in lines if len(text) <= WIDEST), default=0)
    return "\n".join(f"{text:<{column}}  # {origin}" if origin else text for text, origin in lines)


def _lines(recipe: Recipe, values: dict[str, Any], above: Key) -> Iterator[tuple[str, str]]:
    indent = "  " * len(above)
    for name, value in values.items():
        key = (*above, name)
        if isinstance(value, dict) and value:
            yield f"{indent}{_written(name)}:", ""
            yield from _lines(recipe, value, key)
        else:
            origin = recipe.origins.get(key)
            yield (
                f"{indent}{_written(name)}: {_written(value)}",
                str(origin) if origin else "default",
            )


def _written(value: Any) -> str:
    """A value in YAML that our reader and any YAML 1.1 reader take for the same."""
    if isinstance(value, str):
        plain = PLAIN.fullmatch(value) and yaml.safe_load(value) == value
        return value if plain else f'"{"".join(map(_character, value))}"'
    if isinstance(value, float):
        text = repr(value)
        if "e" in text and "." not in text:
            return text.replace("e", ".0e")
        return {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(text, text)
    if isinstance(value, list):
        return f"[{', '.join(_written(each) for each in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_written(k)}: {_written(v)}" for k, v in value.items()) + "}"
    return "null" if value is None else json.dumps(value)


def _character(character: str) -> str:
    """A character inside double quotes."""
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"
