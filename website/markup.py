"""Small pieces of Markdown that several pages are put together from."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape

FENCED = re.compile(r"^(```.*?^```[^\n]*$)", re.DOTALL | re.MULTILINE)


def cell(text: object) -> str:
    """Text in a table: what Markdown or HTML would read otherwise is held off."""
    return escape(" ".join(str(text).split()), quote=False).replace("|", "&#124;")


def code(text: object) -> str:
    """Code in a table, broken after slashes where it is long; nothing for nothing."""
    return f"<code>{cell(text).replace('/', '/<wbr>')}</code>" if str(text) else ""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; empty columns are left out."""
    rows = [list(row) for row in rows]
    kept = [n for n in range(len(columns)) if any(row[n] for row in rows)]
    lines = [
        [columns[n] for n in kept],
        ["---"] * len(kept),
        *([row[n] for n in kept] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def linked(text: str) -> str:
    """Addresses in a text as links."""
    return re.sub(r"(https?://[^\s;,)<]+)", r"[\1](\1)", text)


def outside_fences(text: str) -> list[tuple[str, bool]]:
    """A page in pieces, and whether each is prose (True) or a fenced block."""
    pieces = FENCED.split(text)
    return [(piece, not FENCED.fullmatch(piece)) for piece in pieces]


def title_of(text: str, default: str) -> str:
    """The first heading of a page."""
    for piece, prose in outside_fences(text):
        found = re.search(r"^# (.+)$", piece, re.MULTILINE) if prose else None
        if found:
            return found[1].strip()
    return default
