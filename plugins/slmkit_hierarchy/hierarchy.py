"""The tokenizer `hierarchy`. Letters: b (batch), k (codebook), t (frame), n (sample)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from slmkit.api import Codes, CodeSpec, MisfitError, State, Tokenizer
from slmkit.codecs.replay import Replay
from slmkit_hierarchy.plugin import HierarchyOptions


class Hierarchy(Tokenizer):
    """Semantic units as the first codebook, and a codec's codes as the others.

    A language model that says the first codebook step by step and refines the rest then says first
    what is to be heard, and makes of it how it sounds (AudioLM, Borsos et al. 2023). Only the
    codec's codes are decoded.
    """

    def __init__(self, options: HierarchyOptions, semantic: Tokenizer, acoustic: Tokenizer) -> None:
        self.options = options
        self.take(semantic, acoustic)

    def take(self, semantic: Tokenizer, acoustic: Tokenizer) -> None:
        """Stand on these two from now on. Raises MisfitError where they do not keep step."""
        one, other = semantic.spec, acoustic.spec
        if one.codebooks != 1 or one.deduplicated:
            raise MisfitError(
                f"hierarchy: `semantic` gives one codebook, a unit each frame; this one has "
                f"{one.codebooks}" + (", merged" if one.deduplicated else "")
            )
        if other.deduplicated or other.segment is not None:
            raise MisfitError("hierarchy: `acoustic` has a frame each hop, in one piece")
        if (one.sample_rate, one.hop_length) != (other.sample_rate, other.hop_length):
            raise MisfitError(
                f"hierarchy: semantic and acoustic must keep step, and have {one.frame_rate:g} Hz "
                f"of sound at {one.sample_rate} and {other.frame_rate:g} at {other.sample_rate}"
            )
        self.semantic, self.acoustic = semantic, acoustic
        sizes = (*one.codebook_sizes, *other.codebook_sizes)
        self.spec: CodeSpec = replace(other, codebook_sizes=sizes)
        self.decode_window = acoustic.decode_window

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fit both to the same sounds; a codec that is trained by gradients is trained in a slot of
        its own, and comes here by the stage `stack-tokenizers`."""
        with tempfile.TemporaryFile() as file:
            replay = Replay(batches, file)
            self.semantic.fit(replay.first())
            self.acoustic.fit(replay.again())

    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        fine = self.acoustic.encode(wav, lengths)
        units = self.semantic.encode(wav, lengths)
        rows = []
        for row, frames in enumerate(fine.lengths.tolist()):
            first = units.values[row, :, : int(units.lengths[row])]
            # a frame more or less at the end is how the two round; the last unit goes on
            first = torch.cat([first, first[:, -1:].expand(1, max(0, frames - first.shape[1]))], 1)
            rows.append(torch.cat([first[:, :frames], fine.values[row, :, :frames]]))
        return replace(Codes.pad(rows, self.spec), side=fine.side).to(fine.values.device)

    def decode(self, codes: Codes) -> tuple[Tensor, Tensor]:
        return self.acoustic.decode(self._fine(codes))

    def decode_books(self, codes: Codes, books: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The first codebook is not heard; of the others, what the codec can decode alone."""
        heard = [book - 1 for book in books if book]
        if not heard:
            raise MisfitError("hierarchy: codebook 1 is a unit, and no codec decodes it alone")
        return self.acoustic.decode_books(self._fine(codes), heard)

    def decode_long(self, codes: Codes) -> Iterator[Tensor]:
        return self.acoustic.decode_long(self._fine(codes))

    @property
    def decodes_in_steps(self) -> bool:
        """Whether the codec does."""
        return self.acoustic.decodes_in_steps

    def empty_decode_state(self, batch: int) -> State:
        return self.acoustic.empty_decode_state(batch)

    def decode_step(self, codes: Codes, state: State, last: bool = False) -> tuple[Tensor, State]:
        return self.acoustic.decode_step(self._fine(codes), state, last)

    def save(self, folder: Path) -> None:
        """Each in a folder of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        self.semantic.save(folder / "semantic")
        self.acoustic.save(folder / "acoustic")

    def restore(self, folder: Path) -> None:
        self.semantic.restore(folder / "semantic")
        self.acoustic.restore(folder / "acoustic")

    def _fine(self, codes: Codes) -> Codes:
        """The codec's own codes. Raises MisfitError for codes of another kind."""
        if codes.spec != self.spec:
            raise MisfitError(
                f"hierarchy: these codes are not its own: {codes.spec.unlike(self.spec)}"
            )
        return replace(codes, values=codes.values[:, 1:], spec=self.acoustic.spec)
