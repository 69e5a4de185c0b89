"""The text tokenizer `characters`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from slmkit.api import DataError, OptionsError, TextTokenizer
from slmkit_text.plugin import CharactersOptions

FILE = "alphabet.json"


class Characters(TextTokenizer):
    """An id for each character (Unicode code point)."""

    def __init__(self, options: CharactersOptions) -> None:
        self._given = options.alphabet is not None
        self._set(options.alphabet or "")
        if self._given and (not self._alphabet or len(self._ids) != len(self._alphabet)):
            raise OptionsError(["text 'characters': the alphabet is empty or repeats a character"])

    def _set(self, alphabet: str) -> None:
        self._alphabet = alphabet
        self._ids = {character: index for index, character in enumerate(alphabet)}

    def _check_fitted(self) -> None:
        if not self._alphabet:
            raise DataError("the text tokenizer 'characters' has no alphabet yet; fit or give one")

    @property
    def size(self) -> int:
        """Number of characters."""
        self._check_fitted()
        return len(self._alphabet)

    def fit(self, texts: Iterable[str]) -> None:
        """Learn the characters of the texts, in the order of Unicode; a given alphabet stays."""
        if self._given:
            return
        found: set[str] = set()
        for text in texts:
            found.update(text)
        if not found:
            raise DataError("the text tokenizer 'characters' got no text to learn from")
        self._set("".join(sorted(found)))

    def encode(self, text: str) -> list[int]:
        """The ids of a text. Raises DataError naming a character that is not in the alphabet."""
        self._check_fitted()
        try:
            return [self._ids[character] for character in text]
        except KeyError as error:
            character = error.args[0]
            raise DataError(
                f"unknown character {character!r} (U+{ord(character):04X}) in {text[:40]!r}; the "
                f"alphabet has {len(self._alphabet)} characters: add it there, or take 'bpe'"
            ) from None

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""
        return "".join(self._alphabet[index] for index in ids)

    def save(self, folder: Path) -> None:
        """Write `alphabet.json`."""
        self._check_fitted()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(json.dumps(self._alphabet) + "\n")

    def restore(self, folder: Path) -> None:
        """Read what `save` wrote. Raises DataError."""
        try:
            self._set(json.loads((folder / FILE).read_text()))
        except FileNotFoundError:
            raise DataError(f"{folder}: no {FILE} here") from None
