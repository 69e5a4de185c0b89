"""A SEANet codec: encoder, residual quantizer and decoder, fast and in bounded memory.

Letters: b (batch), c (channel), d (width), k (codebook), t (frame), n (sample).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from slmkit.api import AudioError, Codes, CodeSpec, MisfitError
from slmkit.codecs.quantizer import Quantized, ResidualQuantizer
from slmkit.codecs.seanet import Decoder, Encoder, SeanetSizes
from slmkit.codecs.starting import scale_layers
from slmkit.codecs.waves import groups

TOGETHER = 80
"""Seconds of sound that go through the network at once, over all rows."""
WHOLE = 12
"""Seconds of sound that are not yet cut into windows."""
WINDOW = 3
"""Seconds of a longer one that go through it at a time: few, for each takes some 80 MB."""
AROUND = 1
"""Seconds to either side that a window of a non-causal codec sees besides."""


class Passed(NamedTuple):
    """What training sees of a codec: copies [b, c, n] of the waves, and what was quantized."""

    copy: Tensor
    quantized: Quantized


class SeanetCodec(nn.Module):
    """Waves to codes and back, each row as it would be alone.

    What is longer than twelve seconds goes through in windows of three: where causal by its state,
    which gives the codes of the whole; else in windows that overlap by a second to either side,
    beyond which only the LSTMs could hear.
    """

    def __init__(self, sizes: SeanetSizes, codebooks: int, entries: int, sample_rate: int) -> None:
        super().__init__()
        self.sizes, self.sample_rate = sizes, sample_rate
        self.encoder = Encoder(sizes)
        self.decoder = Decoder(sizes)
        self.quantizer = ResidualQuantizer(codebooks, entries, sizes.width)

    @classmethod
    def untrained(
        cls,
        sizes: SeanetSizes,
        codebooks: int,
        entries: int,
        sample_rate: int,
        seed: int,
        scaled: bool = False,
    ) -> SeanetCodec:
        """One of random weights, whose codebooks lie about what it makes of noise; `scaled`: its
        layers give unit variance on it, so that what it makes of any two sounds differs."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            codec = cls(sizes, codebooks, entries, sample_rate)
            codec.eval()
            noise = torch.randn(4, sizes.channels, sample_rate // 2) / 4
            noise *= torch.tensor([0.01, 0.1, 0.5, 1.0])[:, None, None]
            if scaled:
                scale_layers(codec, noise)
            with torch.no_grad():
                latents = codec.encoder(noise)
            codec.quantizer.scatter(latents, torch.Generator().manual_seed(seed))
        return codec

    def forward(self, wav: Tensor, books: int | None = None, first: int = 0) -> Passed:
        """Waves [b, c, n] as long as each other, through the codebooks from `first` to `books`,
        with gradients."""
        quantized = self.quantizer(self.encoder(wav), books)
        copy = self.decoder(quantized.levels[first:].sum(dim=0))
        return Passed(copy[..., : wav.shape[-1]], quantized)

    def encode(self, wav: Tensor, lengths: list[int], books: int | None = None) -> list[Tensor]:
        """Codes [k, t] of each row of wav [b, c, n] by the first `books` codebooks."""
        rows: list[Tensor] = [wav] * len(lengths)
        whole = WHOLE * self.sample_rate
        short = [row for row, length in enumerate(lengths) if length <= whole]
        for group in groups([lengths[row] for row in short], TOGETHER * self.sample_rate):
            chosen = [short[index] for index in group]
            ends = [lengths[row] for row in chosen]
            latents = self.encoder(wav[chosen][..., : max(ends)], ends)
            codes = self.quantizer.encode(latents, books)
            for row, end, own in zip(chosen, ends, codes, strict=True):
                rows[row] = own[:, : -(-end // self.sizes.hop_length)]
        for row in sorted(set(range(len(lengths))) - set(short)):
            own = wav[row : row + 1, :, : lengths[row]]
            parts = self._streamed(own) if self.sizes.causal else self._windowed(own)
            rows[row] = torch.cat([self.quantizer.encode(z, books)[0] for z in parts], dim=1)
        return rows

    def decode(self, codes: Tensor, lengths: list[int], first: int = 0) -> list[Tensor]:
        """The wave [c, t * hop] of each row of codes [b, k, t], whose first is codebook `first`."""
        rows: list[Tensor] = [codes] * len(lengths)
        hop = self.sizes.hop_length
        whole = WHOLE * self.sample_rate // hop
        short = [row for row, length in enumerate(lengths) if length <= whole]
        for group in groups([lengths[row] for row in short], TOGETHER * self.sample_rate // hop):
            chosen = [short[index] for index in group]
            ends = [lengths[row] for row in chosen]
            latents = self.quantizer.decode(codes[chosen][..., : max(ends)], first)
            for row, end, wav in zip(chosen, ends, self.decoder(latents, ends), strict=True):
                rows[row] = wav[:, : end * hop]
        for row in sorted(set(range(len(lengths))) - set(short)):
            own = codes[row : row + 1, :, : lengths[row]]
            wav = self.quantizer.entries.new_empty(self.sizes.channels, lengths[row] * hop)
            at = 0
            for part in self.decode_long(own, first):
                wav[:, at : at + part.shape[-1]] = part
                at += part.shape[-1]
            rows[row] = wav
        return rows

    def encode_long(self, blocks: Iterable[Tensor], books: int | None = None) -> Iterator[Tensor]:
        """The codes [k, t] that `encode` gives for one sound, in parts, from its blocks [1, c, n];
        of a codec that is not causal a window is held at a time."""
        rate, hop = self.sample_rate // self.sizes.hop_length, self.sizes.hop_length
        blocks = iter(blocks)
        held, more = _gathered(torch.empty(1, self.sizes.channels, 0), blocks, WHOLE * rate * hop)
        if not held.shape[-1]:
            raise AudioError("there is no sound to be coded: it has no samples")
        if not more:
            yield self.encode(held, [held.shape[-1]], books)[0]
            return
        before = 0
        for at in itertools.count(0, WINDOW * rate):
            start, end = max(0, at - AROUND * rate), at + (WINDOW + AROUND) * rate
            held, before = held[..., (start - before) * hop :], start
            held, more = _gathered(held, blocks, (end - start) * hop)
            latents = self.encoder(held[..., : (end - start) * hop])
            kept = latents[..., at - start : at - start + WINDOW * rate]
            yield self.quantizer.encode(kept, books)[0]
            if not more and start + latents.shape[-1] <= at + WINDOW * rate:
                return

    def decode_long(self, codes: Tensor, first: int = 0) -> Iterator[Tensor]:
        """The wave of one row's codes [1, k, t] in blocks [c, n], a window at a time."""
        return self._spoken(codes, first) if self.sizes.causal else self._said(codes, first)

    def _streamed(self, wav: Tensor) -> Iterator[Tensor]:
        """The latents of one long wave [1, c, n], a window after the other, through the state."""
        state, window = self.encoder.empty_state(1), WINDOW * self.sample_rate
        for at in range(0, wav.shape[-1], window):
            last = at + window >= wav.shape[-1]
            latents, state = self.encoder.step(wav[..., at : at + window], state, last)
            if latents.shape[-1]:
                yield latents

    def _spoken(self, codes: Tensor, first: int) -> Iterator[Tensor]:
        """The wave of one row's many codes [1, k, t], a window after the other."""
        state = self.decoder.empty_state(1)
        window = WINDOW * self.sample_rate // self.sizes.hop_length
        for at in range(0, codes.shape[-1], window):
            latents = self.quantizer.decode(codes[..., at : at + window], first)
            wav, state = self.decoder.step(latents, state, at + window >= codes.shape[-1])
            yield wav[0]

    def _windowed(self, wav: Tensor) -> Iterator[Tensor]:
        """The latents of one long wave [1, c, n] in windows that overlap."""
        hop = self.sizes.hop_length
        for start, end, lead, count in self._windows(-(-wav.shape[-1] // hop)):
            yield self.encoder(wav[..., start * hop : end * hop])[..., lead : lead + count]

    def _said(self, codes: Tensor, first: int) -> Iterator[Tensor]:
        """The wave of one row's many codes [1, k, t] in windows that overlap."""
        hop = self.sizes.hop_length
        for start, end, lead, count in self._windows(codes.shape[-1]):
            wav = self.decoder(self.quantizer.decode(codes[..., start:end], first))[0]
            yield wav[:, lead * hop : (lead + count) * hop]

    def _windows(self, frames: int) -> Iterator[tuple[int, int, int, int]]:
        """From which frame to which a window goes, what of it is left out in front, and how many
        frames are kept."""
        rate = self.sample_rate // self.sizes.hop_length
        for at in range(0, frames, WINDOW * rate):
            start, end = max(0, at - AROUND * rate), min(frames, at + (WINDOW + AROUND) * rate)
            yield start, end, at - start, min(WINDOW * rate, frames - at)


def _gathered(held: Tensor, blocks: Iterator[Tensor], enough: int) -> tuple[Tensor, bool]:
    """What is held [1, c, n] and further blocks, until there are more than `enough` samples; and
    whether there are."""
    parts, count = [held], held.shape[-1]
    while count <= enough and (block := next(blocks, None)) is not None:
        parts.append(block)
        count += block.shape[-1]
    return torch.cat(parts, dim=-1), count > enough


def check_codes(codes: Codes, spec: CodeSpec, name: str) -> list[int]:
    """The lengths of codes that are of this kind and lie in their codebooks. Raises MisfitError."""
    if codes.spec != spec:
        raise MisfitError(f"{name} decodes {spec}, not {codes.spec}")
    sizes = torch.tensor(spec.codebook_sizes, device=codes.values.device)[:, None]
    outside = (codes.values < 0) | (codes.values >= sizes)
    if bool(outside.any()):
        worst = int(codes.values[outside][0])
        raise MisfitError(f"{name}: code {worst} lies in no codebook (0 to {int(sizes[0]) - 1})")
    lengths = [int(length) for length in codes.lengths]
    if not lengths or min(lengths) < 1 or max(lengths) > codes.values.shape[-1]:
        raise MisfitError(f"{name}: lengths {lengths} in codes of {codes.values.shape[-1]} frames")
    return lengths


def stretch(books: Sequence[int], name: str) -> slice:
    """Codebooks, counted from 0, as one stretch of neighbours. Raises MisfitError for others."""
    first, last = min(books, default=0), max(books, default=-1)
    if not books or list(books) != list(range(first, last + 1)):
        chosen = ", ".join(str(book + 1) for book in books) or "none"
        raise MisfitError(f"{name} decodes codebooks that follow each other, not {chosen}")
    return slice(first, last + 1)


def padded_waves(rows: list[Tensor]) -> tuple[Tensor, Tensor]:
    """(wav [b, n], lengths [b]) of waves [n], zeros at the end."""
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.int64)
    if len(rows) == 1:
        return rows[0][None], lengths
    return pad_sequence(rows, batch_first=True), lengths
