"""Which codebooks of a tokenizer are meant, as a person writes it. Imports nothing heavy."""

from __future__ import annotations

import re

from slmkit.api import MisfitError

SPELT = re.compile(r"all|first|rest|\d+(:\d+)?(,\d+(:\d+)?)*")
HELP = "all, first, rest (all but the first), or counted from 1: '1', '2:8', '1,3'"
"""For the options that take it."""


def check_books(books: str) -> None:
    """Raise ValueError for what names no codebooks, whatever the tokenizer."""
    if not SPELT.fullmatch(books):
        raise ValueError(f"books '{books}' is none of {HELP}")
    if not _chosen(books, 2):
        raise ValueError(f"books '{books}': counted from 1, the first not after the last")


def books_of(books: str, codebooks: int) -> tuple[int, ...]:
    """The codebooks that are meant of so many, counted from 0 and ascending.

    Raises MisfitError where a tokenizer has no such codebook.
    """
    check_books(books)
    chosen = _chosen(books, codebooks)
    if not chosen or chosen[-1] >= codebooks:
        raise MisfitError(f"books '{books}' of a tokenizer that has {codebooks}")
    return chosen


def _chosen(books: str, codebooks: int) -> tuple[int, ...]:
    """The same unchecked; nothing where a range runs backwards or begins at 0."""
    named = {"all": range(codebooks), "first": range(1), "rest": range(1, codebooks)}
    if books in named:
        return tuple(named[books])
    chosen: set[int] = set()
    for piece in books.split(","):
        first, _, last = piece.partition(":")
        stretch = range(int(first) - 1, int(last or first))
        if not stretch or stretch[0] < 0:
            return ()
        chosen.update(stretch)
    return tuple(sorted(chosen))
