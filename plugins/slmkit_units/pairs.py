"""Byte-pair encoding over units, each unit written as one private character."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, models, trainers

from slmkit.api import DataError, MisfitError, WeightsError

FIRST = 0xF0000
"""The first of Unicode's private planes, 15 and 16: no unit looks like text."""

MOST = 0x110000 - FIRST


class UnitPairs:
    """Sequences of units 0..units-1 to sequences of tokens and back, without loss.

    Tokens 0..units-1 are the units themselves; the others stand for two tokens each.
    """

    def __init__(self, units: int) -> None:
        if units > MOST:
            raise MisfitError(
                f"unit-bpe writes at most {MOST} units, and its tokenizer has {units}"
            )
        self.units = units
        self._take(
            Tokenizer(models.BPE(vocab={chr(FIRST + u): u for u in range(units)}, merges=[]))
        )

    def fit(self, sequences: Iterable[Sequence[int]], size: int) -> None:
        """Learn up to `size` tokens in all, the most frequent pairs first."""
        alphabet = [chr(FIRST + unit) for unit in range(self.units)]
        trainer = trainers.BpeTrainer(
            vocab_size=max(size, self.units),
            min_frequency=2,
            initial_alphabet=alphabet,
            show_progress=False,
        )
        learner = Tokenizer(models.BPE())
        learner.train_from_iterator(map(written, sequences), trainer)
        self._take(learner)

    def encode(self, sequence: Sequence[int]) -> list[int]:
        """The tokens of units. Raises DataError for one that there is not."""
        if sequence and not 0 <= min(sequence) <= max(sequence) < self.units:
            raise DataError(f"units are 0 to {self.units - 1}; found {min(sequence)} to "
                            f"{max(sequence)}")  # fmt: skip
        tokens: list[int] = self._inner.encode(written(sequence)).ids
        return tokens

    def decode(self, tokens: Iterable[int]) -> list[tuple[int, ...]]:
        """The units of each token. Raises DataError for one that was not learnt."""
        try:
            return [self._units_of[token] for token in tokens]
        except KeyError as error:
            raise DataError(
                f"token {error.args[0]} stands for no units: {len(self._units_of)} were learnt"
            ) from None

    def save(self, path: Path) -> None:
        """Write the pairs as a file of the library `tokenizers`."""
        self._inner.save(str(path))

    def restore(self, path: Path) -> None:
        """Read what `save` wrote. Raises WeightsError."""
        try:
            inner = Tokenizer.from_file(str(path))
        except Exception as error:
            # the library raises bare Exceptions
            raise WeightsError(f"{path}: not a file of unit pairs: {error}") from None
        self._take(inner)

    def _take(self, inner: Tokenizer) -> None:
        spelt = {
            token: tuple(ord(character) - FIRST for character in text)
            for text, token in inner.get_vocab().items()
        }
        if any(spelt.get(unit) != (unit,) for unit in range(self.units)):
            raise WeightsError(f"these pairs were not learnt from {self.units} units")
        self._inner, self._units_of = inner, spelt


def written(sequence: Sequence[int]) -> str:
    """Units as text, a character each."""
    return "".join(chr(FIRST + unit) for unit in sequence)
