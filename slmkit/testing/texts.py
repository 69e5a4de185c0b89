"""The laws of text tokenizers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from slmkit.api import DataError, TextTokenizer

STRANGE = ("snow \u2603", "\u0928\u092e\u0938\u094d\u0924\u0947", "tab\tand\nline", "\U0001f600")
"""Texts that a text tokenizer need not know."""


def text_laws(make: Callable[[], TextTokenizer], texts: Sequence[str], folder: Path) -> None:
    """Hold a text tokenizer to its contract on texts that it knows; `make` builds it ready to
    encode. Raises AssertionError, which says what is broken.
    """
    part = make()
    ids = {text: part.encode(text) for text in texts}
    for text, found in ids.items():
        assert all(isinstance(each, int) for each in found), "ids are ints"
        assert all(0 <= each < part.size for each in found), f"ids are 0 to {part.size - 1}"
        if part.spells:
            assert part.decode(found) == text, f"{text!r} comes back as {part.decode(found)!r}"
        assert part.encode(text) == found, "the same text gives the same ids"
    assert part.encode("") == [], "no text has no ids: special tokens are the vocabulary's business"
    assert part.decode([]) == "", "no ids are no text"
    for text in STRANGE if part.spells else ():
        _written_or_refused(part, text)
    if not part.spells:
        _spelt_apart(part, list(ids.values()))
    part.save(folder)
    restored = make()
    restored.restore(folder)
    assert restored.size == part.size, "saved and restored, it is as large"
    for text, found in ids.items():
        assert restored.encode(text) == found, "saved and restored, it encodes the same"
        assert restored.decode(found) == part.decode(found), (
            "saved and restored, it decodes the same"
        )


def _written_or_refused(part: TextTokenizer, text: str) -> None:
    try:
        ids = part.encode(text)
    except DataError:
        return
    back = part.decode(ids)
    assert back == text, f"{text!r} must come back, or raise DataError; it comes back as {back!r}"


def _spelt_apart(part: TextTokenizer, known: Sequence[Sequence[int]]) -> None:
    """What does not give the text back gives something for every id, and the same for each."""
    for ids in known:
        whole = "".join(part.decode([each]) for each in ids)
        assert part.decode(ids) == whole, f"{part.decode(ids)!r} is not its ids apart: {whole!r}"
    assert len({tuple(ids) for ids in known}) == len(known), "these texts sound different"
