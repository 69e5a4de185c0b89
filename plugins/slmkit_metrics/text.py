"""Metrics of text against text."""

from __future__ import annotations

import re

import jiwer

from slmkit.api import DataError, Metric


def plain(text: str) -> str:
    """Lower case, only letters, digits and apostrophes, words set apart by one space."""
    return " ".join(re.sub(r"[^\w']|_", " ", text.lower()).split())


def reference_of(text: str) -> str:
    """A reference as it is compared. Raises DataError for an empty one: it measures nothing."""
    read = plain(text)
    if not read:
        raise DataError(f"the reference text {text!r} has no words to compare with")
    return read


class WordErrorRate(Metric):
    """Substituted, deleted and inserted words, in per cent of the reference's words."""

    unit, scale, direction, takes = "%", 100.0, "lower", "text"

    def score(self, given: str, reference: str, sample_rate: int = 16000) -> tuple[float, float]:
        out = jiwer.process_words(reference_of(reference), plain(given))
        return float(out.substitutions + out.deletions + out.insertions), float(
            out.substitutions + out.deletions + out.hits
        )


class CharacterErrorRate(Metric):
    """The same for characters, spaces among them."""

    unit, scale, direction, takes = "%", 100.0, "lower", "text"

    def score(self, given: str, reference: str, sample_rate: int = 16000) -> tuple[float, float]:
        out = jiwer.process_characters(reference_of(reference), plain(given))
        return float(out.substitutions + out.deletions + out.insertions), float(
            out.substitutions + out.deletions + out.hits
        )


class Exact(Metric):
    """Whether a text is right to the letter, read as `wer` reads it."""

    unit, scale, direction, takes = "%", 100.0, "higher", "text"

    def score(self, given: str, reference: str, sample_rate: int = 16000) -> tuple[float, float]:
        return float(plain(given) == reference_of(reference)), 1.0
