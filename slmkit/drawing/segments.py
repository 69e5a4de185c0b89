"""Segments of examples and prompts, as a notebook shows them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from slmkit.drawing.codes import LONGEST, heat_map
from slmkit.drawing.style import framed, note

SHOWN = 40
"""Frames whose text beside them is written out."""


def text_html(text: str, learn: bool) -> str:
    """A stretch of text."""
    return framed(note(f"Text{_learnt(learn)}"), _box(text, learn))


def speech_html(codes: Sequence[Sequence[int]], learn: bool, ends: bool) -> str:
    """A stretch of speech, codes [k][t]."""
    open_end = "" if ends else ", goes on"
    title = f"Speech, {_counted(codes)}{open_end}{_learnt(learn)}"
    return framed(note(title), _map(codes, title))


def aligned_html(ids: Sequence[int], codes: Sequence[Sequence[int]], learn: bool) -> str:
    """Text ids [t], -1 where none is due, beside codes [k][t]."""
    title = f"Aligned text and speech, {_counted(codes)}{_learnt(learn)}"
    words = " ".join("·" if each < 0 else str(each) for each in ids[:SHOWN])
    more = " ..." if len(ids) > SHOWN else ""
    return framed(note(title), _box(words + more, learn), _map(codes, title))


def _map(codes: Sequence[Sequence[int]], title: str) -> str:
    """Segments do not know the sizes of their codebooks: the highest code is the brightest."""
    kept = [list(row[:LONGEST]) for row in codes]
    highest = max((code for row in codes for code in row), default=0)
    return heat_map(kept, [highest + 1] * len(kept), None, title)


def _box(text: str, learn: bool) -> str:
    return f'<div class="text{" learnt" if learn else ""}">{escape(text)}</div>'


def _counted(codes: Sequence[Sequence[int]]) -> str:
    books, frames = len(codes), len(codes[0])
    cut = f", of which {LONGEST} are drawn" if frames > LONGEST else ""
    return f"{books} codebook{'s' if books > 1 else ''}, {frames} frames{cut}"


def _learnt(learn: bool) -> str:
    return ", learnt" if learn else ""
