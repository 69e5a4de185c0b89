"""What a decoding strategy makes of a word and a few frames: a small example to look at.

Letters: k (codebook), t (frame), s (stream), l (step).
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase

import numpy as np

from slmkit.api import CodeSpec, Decoding, Speech, Text, TextTokenizer
from slmkit.drawing.grid import Cell, Picture, draw_grid
from slmkit.host import build
from slmkit.lm.layouts import NOTHING
from slmkit.lm.speechlm import coarse_spec
from slmkit.lm.vocabulary import (
    END_OF_SPEECH,
    NO_TEXT,
    START_OF_SPEECH,
    Section,
    Vocabulary,
)

WORD = "hi"


class _Letters(TextTokenizer):
    """The letters of the word."""

    size = len(WORD)

    def encode(self, text: str) -> list[int]:
        return [WORD.index(letter) for letter in text]

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(WORD[index] for index in ids)


def example_grid(decoding: Decoding, codebooks: int, frames: int) -> list[list[Cell]]:
    """The grid, streams by steps, of the word and then speech, by a strategy's first generator.

    Raises MisfitError where the strategy is not for so many codebooks.
    """
    spec = CodeSpec(24000, 320, (frames,) * codebooks)
    first, made = decoding.plan(spec)[0], coarse_spec(decoding, spec)
    layout = build("layout", first.layout, first.layout_options)
    layout.streams(made)
    books = [Section.codes(frames, codebook) for codebook in range(made.codebooks)]
    marks = Section.special(START_OF_SPEECH, END_OF_SPEECH, NO_TEXT)
    vocabulary = Vocabulary(_Letters()).extend(*books, marks)
    # the code of each frame is its number, so that an id tells codebook and frame
    codes = np.tile(np.arange(frames, dtype=np.int64), (made.codebooks, 1))
    grid = layout.lay([Text(WORD), Speech(codes)], vocabulary)
    return [[_cell(token, vocabulary) for token in stream] for stream in grid.tokens.tolist()]


def draw_example(name: str, codebooks: int = 4, frames: int = 3) -> Picture:
    """The same grid of a strategy by its name, with its defaults, drawn."""
    title = f"{name}: the text {WORD}, then {frames} frames of {codebooks} codebooks"
    return Picture(draw_grid(example_grid(build("decoding", name), codebooks, frames), title))


def letter(codebook: int) -> str:
    """The name of a codebook: a, b, .. z, aa, ab, .."""
    before, last = divmod(codebook, len(ascii_lowercase))
    return (letter(before - 1) if before else "") + ascii_lowercase[last]


def _cell(token: int, vocabulary: Vocabulary) -> Cell:
    if token == NOTHING:
        return Cell("nothing")
    for codebook in range(vocabulary.codebooks):
        if token in (book := vocabulary.code_range(codebook)):
            return Cell("codes", f"{letter(codebook)}{token - book.start}", codebook)
    kind = "special" if vocabulary.is_special(token) else "text"
    return Cell(kind, vocabulary.decode([token]))
