"""The tokenizer `unit-bpe`.

Letters: b (batch), k (codebook), t (frame, here: token), u (merged unit).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from slmkit.api import Codes, CodeSpec, MisfitError, Tokenizer
from slmkit.codecs.replay import Replay
from slmkit_units.pairs import UnitPairs
from slmkit_units.plugin import UnitBpeOptions

PAIRS_FILE = "pairs.json"
LASTED = "unit-durations"


class UnitBpe(Tokenizer):
    """Another tokenizer's units, equal neighbours merged and frequent pairs made one token.

    A token's duration is counted in frames of the inner tokenizer; how they fall to the units
    inside of it stands in the codes' side tensor `unit-durations` [b, u].
    """

    def __init__(self, options: UnitBpeOptions, inner: Tokenizer) -> None:
        if inner.spec.codebooks != 1 or inner.spec.deduplicated:
            raise MisfitError(
                "unit-bpe wraps a tokenizer of one codebook whose units are not merged yet; "
                f"its `inner` has {inner.spec.codebooks}"
                + (", merged" if inner.spec.deduplicated else "")
            )
        self.options, self.inner = options, inner
        (units,) = inner.spec.codebook_sizes
        self.pairs = UnitPairs(units)
        self.spec: CodeSpec = replace(
            inner.spec, codebook_sizes=(max(options.size, units),), deduplicated=True
        )

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fit the inner tokenizer, then learn pairs from its units of the same sounds."""
        with tempfile.TemporaryFile() as file:
            replay = Replay(batches, file)
            self.inner.fit(replay.first())
            self.pairs.fit(self._sequences(replay.again()), self.options.size)

    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        return self.shorten(self.inner.encode(wav, lengths))

    def shorten(self, codes: Codes) -> Codes:
        """The tokens of the inner tokenizer's codes [b, 1, t], with durations."""
        merged = self._merged(codes)
        rows, durations = [], []
        for row, length in enumerate(merged.lengths.tolist()):
            tokens = self.pairs.encode(merged.values[row, 0, :length].tolist())
            inside = torch.tensor([len(units) for units in self.pairs.decode(tokens)])
            owner = torch.repeat_interleave(torch.arange(len(tokens)), inside.long())
            lasted = torch.ones(length, dtype=torch.int64)
            if merged.durations is not None:
                lasted = merged.durations[row, :length].cpu()
            rows.append(torch.tensor(tokens, dtype=torch.int64)[None])
            empty = torch.zeros(len(tokens), dtype=torch.int64)
            durations.append(empty.index_add(0, owner, lasted))
        side = {} if merged.durations is None else {LASTED: merged.durations}
        shortened = Codes.pad(rows, self.spec, durations)
        return replace(shortened, side=side).to(codes.values.device)

    def expand(self, codes: Codes) -> Codes:
        """The inner tokenizer's codes: the inverse of `shorten`.

        Tokens that a model has made up carry no `unit-durations`: their units come merged and
        without durations, for a vocoder that predicts them. Raises DataError for unknown tokens.
        """
        rows = []
        for row, length in enumerate(codes.lengths.tolist()):
            spelt = self.pairs.decode(codes.values[row, 0, :length].tolist())
            units = [unit for token in spelt for unit in token]
            rows.append(torch.tensor(units, dtype=torch.int64)[None])
        plain = Codes.pad(rows, self.inner.spec).to(codes.values.device)
        if not self.options.deduplicate:
            return plain
        merged = replace(plain, spec=replace(plain.spec, deduplicated=True))
        lasted = codes.side.get(LASTED)
        if lasted is None:
            return merged
        return replace(merged, durations=lasted[:, : merged.values.shape[2]]).expand()

    def save(self, folder: Path) -> None:
        """The inner tokenizer in a folder of its own, and the pairs."""
        folder.mkdir(parents=True, exist_ok=True)
        self.inner.save(folder / "inner")
        self.pairs.save(folder / PAIRS_FILE)

    def restore(self, folder: Path) -> None:
        self.inner.restore(folder / "inner")
        self.pairs.restore(folder / PAIRS_FILE)

    def _sequences(self, batches: Iterable[tuple[Tensor, Tensor]]) -> Iterator[list[int]]:
        """The units of each sound, as pairs are made of them."""
        for wav, lengths in batches:
            codes = self._merged(self.inner.encode(wav, lengths))
            for row, length in enumerate(codes.lengths.tolist()):
                yield codes.values[row, 0, :length].tolist()

    def _merged(self, codes: Codes) -> Codes:
        return codes.deduplicate() if self.options.deduplicate else codes
