"""A playground for tokenizers: the codes of a sound, what some of them sound like, voices mixed.

Letters: k (codebook), t (frame), n (sample).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch

from slmkit.api import Codes, MisfitError, Tokenizer, Vocoder
from slmkit.codecs.conversion import convert_voice
from slmkit.data.audio import Wave
from slmkit.data.speaking import Voice
from slmkit.host import Shelved, build_part, host, make_options
from slmkit.web.events import Coded, Event, Said, Spoke, Visit

CLUSTERS = 32
"""Of a tokenizer that is fitted to a single sound, which has few frames."""
CLUSTERS_OPTION = "clusters"


@dataclass(frozen=True, eq=False)
class Coder:
    """A tokenizer, and what makes its codes audible.

    Attributes:
        tokenizer: as a run left it, or made for these sounds.
        voice: None where nothing speaks its codes.
        semantic_first: whether its first codebook holds what is said.
    """

    tokenizer: Tokenizer
    voice: Voice | None
    semantic_first: bool

    @classmethod
    def of(cls, tokenizer: Tokenizer, vocoder: Vocoder | None, semantic_first: bool) -> Coder:
        """A tokenizer that decodes speaks for itself; any other through the vocoder, if any."""
        decodes = type(tokenizer).decode is not Tokenizer.decode
        part = tokenizer if decodes else vocoder
        return cls(tokenizer, None if part is None else Voice(part), semantic_first)

    def encode(self, wave: Wave) -> Codes:
        """The codes [1, k, t] of a wave [n] at the tokenizer's rate."""
        with torch.inference_mode():
            return self.tokenizer.encode(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))

    def hear(self, codes: Codes, books: int) -> Iterator[Wave]:
        """What the first codebooks of codes [1, k, t] sound like, in blocks [n].

        Raises MisfitError where fewer than all cannot be heard alone.
        """
        assert self.voice is not None, "nothing speaks these codes"
        if books == self.tokenizer.spec.codebooks:
            yield from self.voice.blocks(codes)
            return
        with torch.inference_mode():
            wav, lengths = self.tokenizer.decode_books(codes, range(books))
        yield wav[0, : int(lengths[0])].numpy()


def fitted_here() -> list[Shelved]:
    """Tokenizers that can be fitted to a sound in a moment: by clusters, with numbers alone as
    options, so that none names weights or a file that would have to be fetched."""
    found = []
    for shelved in host().parts("tokenizer"):
        options = fields(shelved.declaration.options)
        plain = all(type(field.default) in (int, float, bool) for field in options)
        if plain and any(field.name == CLUSTERS_OPTION for field in options):
            found.append(shelved)
    return found


def fit_to(shelved: Shelved, waves: Sequence[Wave]) -> Coder:
    """Such a tokenizer, fitted to these waves [n]. Raises DataError where they are too short."""
    options = make_options(shelved, {CLUSTERS_OPTION: CLUSTERS})
    tokenizer = build_part(shelved, options)
    tokenizer.fit((torch.from_numpy(w)[None], torch.tensor([len(w)])) for w in waves)
    return Coder.of(tokenizer, None, shelved.declaration.abilities(options).semantic_first)


def show(coder: Coder, wave: Wave, books: int, visit: Visit) -> Iterator[Event]:
    """The codes of a wave [n], and what the first `books` codebooks sound like."""
    yield from _told(coder, coder.encode(wave), books, "", visit)


def mix(coder: Coder, source: Wave, reference: Wave, visit: Visit) -> Iterator[Event]:
    """What `source` [n] says as `reference` [n] sounds: its first codebook with the others of that.

    Of a tokenizer that does not keep what is said in its first codebook a line says so. Raises
    MisfitError for one of a single codebook.
    """
    if coder.tokenizer.spec.codebooks < 2:
        raise MisfitError(
            "codes of one codebook hold no voice of their own to exchange: choose a tokenizer of "
            "several codebooks"
        )
    codes = convert_voice(coder.encode(source), coder.encode(reference))
    note = ""
    if not coder.semantic_first:
        note = (
            "; this tokenizer does not keep what is said in its first codebook, so that the words "
            "may be lost"
        )
    yield from _told(coder, codes, coder.tokenizer.spec.codebooks, note, visit)


def _told(coder: Coder, codes: Codes, books: int, note: str, visit: Visit) -> Iterator[Event]:
    """Codes, their sound, and a line."""
    yield Coded(codes)
    visit.check()
    spec = codes.spec
    books = min(books, spec.codebooks)
    frames = int(codes.lengths[0])
    line = f"{frames} frames; {books} of {spec.codebooks} codebooks"
    if coder.voice is None:
        yield Said(f"{line}; it has no decoder here: its codes are shown and not heard{note}")
        return
    blocks = []
    for block in coder.hear(codes, books):
        visit.check()
        blocks.append(block)
    yield Spoke(np.concatenate(blocks), coder.voice.sample_rate)
    yield Said(f"{line} heard{note}")
