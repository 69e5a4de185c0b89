"""The text tokenizer `hf`: any tokenizer of transformers, from a folder or the hub's cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slmkit.api import DataError, TextTokenizer, WeightsError
from slmkit_text.plugin import HfTextOptions


class HfText(TextTokenizer):
    """A pretrained tokenizer's pieces, without its special and added tokens.

    Those are the vocabulary's business: `size` counts the pretrained pieces alone (32,000 for
    LLaMA), so that units and the words of a dialogue follow them as they were published.
    SentencePiece tokenizers put a space before the first word, and take it away when they write.
    """

    def __init__(self, options: HfTextOptions) -> None:
        from transformers import AutoTokenizer

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(options.model)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise WeightsError(
                f"text 'hf': no tokenizer at '{options.model}' ({reason}); give a folder that "
                f"holds one, or download it: hf download {options.model}"
            ) from None

    @property
    def size(self) -> int:
        """Number of pretrained pieces."""
        return int(self._tokenizer.vocab_size)

    def encode(self, text: str) -> list[int]:
        """The ids of a text; specials inside are ordinary text. Raises DataError naming a
        character for which the tokenizer has no piece."""
        ids = self._pieces(text)
        unknown = self._tokenizer.unk_token_id
        if unknown is not None and unknown in ids:
            culprit = next((c for c in text if unknown in self._pieces(c)), text[:40])
            raise DataError(
                f"unknown character {culprit!r} in {text[:40]!r}: the tokenizer 'hf' "
                f"has no piece for it; leave it out, or take 'bpe'"
            )
        return ids

    def _pieces(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(
            text, add_special_tokens=False, split_special_tokens=True
        )
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""
        return str(
            self._tokenizer.decode(
                list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        )

    def save(self, folder: Path) -> None:
        """Write the tokenizer's own files, so that a run does not hang on the hub."""
        folder.mkdir(parents=True, exist_ok=True)
        self._tokenizer.save_pretrained(str(folder / "tokenizer"))

    def restore(self, folder: Path) -> None:
        """Read what `save` wrote."""
        from transformers import AutoTokenizer

        self._tokenizer = AutoTokenizer.from_pretrained(str(folder / "tokenizer"))
