"""The text tokenizer `bpe`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from slmkit.api import DataError, OptionsError, TextTokenizer
from slmkit_text.plugin import BpeOptions

FILE = "tokenizer.json"
BYTES = 256


class Bpe(TextTokenizer):
    """Byte-level BPE: any text can be written, and nothing of it changes.

    Text is cut as GPT-2 cuts it, a space going with the word behind it and none added in front;
    pieces encoded apart are therefore the text of both when their ids are joined.
    """

    def __init__(self, options: BpeOptions) -> None:
        if options.size < BYTES:
            raise OptionsError([f"text 'bpe': size {options.size} is less than the {BYTES} bytes"])
        self._most = options.size
        self._tokenizer: Tokenizer | None = None

    @property
    def size(self) -> int:
        """Number of ids: the option's, or fewer where the text has no more pairs to merge."""
        return int(self._fitted.get_vocab_size())

    @property
    def _fitted(self) -> Tokenizer:
        if self._tokenizer is None:
            raise DataError("the text tokenizer 'bpe' has learnt no pieces yet; fit it on text")
        return self._tokenizer

    def fit(self, texts: Iterable[str]) -> None:
        """Learn the merges; the same text gives the same pieces. Raises DataError without text."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self._most,
            show_progress=False,
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        )
        seen = False

        def each() -> Iterable[str]:
            nonlocal seen
            for text in texts:
                seen = seen or bool(text)
                yield text

        tokenizer.train_from_iterator(each(), trainer)
        if not seen:
            raise DataError("the text tokenizer 'bpe' got no text to learn from")
        self._tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        """The ids of a text. Raises DataError for half a surrogate pair, which no bytes write."""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{text!r} holds no valid character at {error.start}") from None
        ids: list[int] = self._fitted.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; bytes that are no UTF-8 become U+FFFD."""
        return str(self._fitted.decode(list(ids), skip_special_tokens=False))

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json`, which transformers reads too."""
        folder.mkdir(parents=True, exist_ok=True)
        self._fitted.save(str(folder / FILE))

    def restore(self, folder: Path) -> None:
        """Read what `save` wrote. Raises DataError."""
        if not (folder / FILE).is_file():
            raise DataError(f"{folder}: no {FILE} here")
        self._tokenizer = Tokenizer.from_file(str(folder / FILE))
