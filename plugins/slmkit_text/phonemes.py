"""The text tokenizer `phonemes`."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from slmkit.api import DataError, MissingDependencyError, OptionsError, TextTokenizer
from slmkit_text.plugin import BOS, EOS, PhonemesOptions

FILE = "symbols.json"
WORD = "_"
"""Stands between words."""
PUNCTUATION = tuple("!\"',-.:;?")
ENGLISH = (
    "aɪ aɪə aɪɚ aʊ b d dʒ eɪ f h i iə iː j k l m n oʊ p r s t tʃ uː v w x z æ ð ŋ ɐ ɑ ɑː ɑːɹ ɔ ɔɪ "
    "ɔː ɔːɹ ə əl ɚ ɛ ɛɹ ɜː ɡ ɪ ɪɹ ɬ ɹ ɾ ʃ ʊ ʊɹ ʌ ʒ ʔ θ ᵻ ̃ ̩"
)
"""What espeak-ng 1.52 makes of English words, names among them."""


class Phonemes(TextTokenizer):
    """What espeak-ng would pronounce, a phoneme an id, as VALL-E and USLM write their text.

    Stress and ties are left out, punctuation stays. The symbols are those of English unless `fit`
    meets others; ids follow their code points. Symbols that are given (those of a published model)
    keep their order and learn of no others. Not every letter of a text can be had back: `decode`
    gives the phonemes.
    """

    spells = False

    def __init__(self, options: PhonemesOptions) -> None:
        self.options, self.language = options, options.language
        self._pronounce = lru_cache(maxsize=4096)(self._pronounced)
        self._set(options.symbols or sorted({*ENGLISH.split(" "), *PUNCTUATION, WORD}))

    def _set(self, symbols: Sequence[str]) -> None:
        self.symbols = tuple(symbols)
        self._ids = {symbol: index for index, symbol in enumerate(self.symbols)}

    @property
    def size(self) -> int:
        """Number of symbols, or of rows, where more were asked for."""
        return self.options.rows or len(self.symbols)

    def fit(self, texts: Iterable[str]) -> None:
        """Add the symbols of these texts to those that are known, unless they were given."""
        if self.options.symbols:
            return
        found = {symbol for text in texts for symbol in self._pronounce(text)}
        self._set(sorted({*self.symbols, *found}))

    def encode(self, text: str) -> list[int]:
        """The ids of a text. Raises DataError for a script that the language does not have, and for
        a phoneme that is not among the symbols."""
        try:
            ids = [self._ids[symbol] for symbol in self._pronounce(text)]
        except KeyError as error:
            raise DataError(
                f"{text[:40]!r} is pronounced with {error.args[0]!r}, which is not among the "
                f"{self.size} symbols of the text tokenizer 'phonemes': fit it on such texts"
            ) from None
        return [self._ids[BOS], *ids, self._ids[EOS]] if self.options.ends else ids

    def decode(self, ids: Sequence[int]) -> str:
        """The phonemes of ids, words apart."""
        known = (self.symbols[index] for index in ids if index < len(self.symbols))
        return "".join(s for s in known if s not in (BOS, EOS)).replace(WORD, " ")

    def _pronounced(self, text: str) -> tuple[str, ...]:
        text = " ".join(text.split())
        if not text:
            return ()
        _check_script(text, self.language)
        from phonemizer.separator import Separator

        apart = Separator(word=WORD, syllable="-", phone="|")
        (written,) = _backend(self.language).phonemize([text], separator=apart, strip=True)
        symbols: list[str] = []
        for word in written.split(WORD):
            symbols += [WORD] if symbols else []
            symbols += [s for s in re.findall(r"\w+|[^\w\s]", word) if s != "|"]
        return tuple(symbols)

    def save(self, folder: Path) -> None:
        """Write `symbols.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(json.dumps(self.symbols, ensure_ascii=False) + "\n")

    def restore(self, folder: Path) -> None:
        """Read what `save` wrote. Raises DataError."""
        try:
            self._set(json.loads((folder / FILE).read_text()))
        except FileNotFoundError:
            raise DataError(f"{folder}: no {FILE} here") from None


def _check_script(text: str, language: str) -> None:
    """Raise DataError for letters that are not Latin in a language that is written in Latin ones:
    espeak-ng would read out their names."""
    if not language.startswith(LATIN):
        return
    for character in text:
        name = unicodedata.name(character, "")
        letter = unicodedata.category(character) in ("Lu", "Ll", "Lo")
        if letter and not name.startswith(("LATIN", "FEMININE", "MASCULINE", "MODIFIER")):
            raise DataError(
                f"{character!r} ({name.lower() or 'unknown'}) in {text[:40]!r} is no letter of the "
                f"language '{language}': choose the text's language in the option 'language'"
            )


LATIN = ("en", "de", "fr", "es", "it", "nl", "pt", "pl", "sv", "da", "nb", "fi", "cs", "tr")


@cache
def _backend(language: str) -> Any:
    """espeak-ng for one language. Raises MissingDependencyError, OptionsError."""
    try:
        import espeakng_loader
        from phonemizer.backend import EspeakBackend
        from phonemizer.backend.espeak.wrapper import EspeakWrapper
    except ImportError:
        raise MissingDependencyError(
            "phonemizer-fork and espeakng-loader are not installed: pip install 'slmkit[text]'"
        ) from None
    EspeakWrapper.set_library(espeakng_loader.get_library_path())
    EspeakWrapper.set_data_path(espeakng_loader.get_data_path())
    try:
        return EspeakBackend(
            language,
            preserve_punctuation=True,
            with_stress=False,
            tie=False,
            language_switch="remove-flags",
        )
    except RuntimeError as error:
        raise OptionsError([f"text 'phonemes': {error}"]) from None
