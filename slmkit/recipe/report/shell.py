"""What all pages share: one HTML file with its styles and scripts in it, and wide tables that a
keyboard can scroll."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

STYLE = Path(__file__).with_name("style.css")


def whole_page(title: str, body: Iterable[str], style: str = "", script: str = "") -> str:
    """A page that needs no other file; `style` and `script` are further CSS and JavaScript."""
    added = f"<script>{script}</script>" if script else ""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<style>{STYLE.read_text()}{style}</style></head>\n<body><main>"
        + "\n".join(part for part in body if part)
        + f"</main>{added}</body></html>\n"
    )


def wide(table: str, label: str) -> str:
    """A table that scrolls sideways on a narrow screen, by the keyboard as well: what scrolls can
    be focused and has a name (WCAG 2.1.1)."""
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{escape(label)}">{table}</div>'
    )


def table(title: str, head: str, rows: str) -> str:
    """A table of the cells of its head and the rows of its body, with its title for screen readers,
    that scrolls where it is wide."""
    return wide(
        f'<table><caption class="unseen">{escape(title)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table>",
        title,
    )
