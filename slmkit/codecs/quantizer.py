"""The residual vector quantizer: each codebook codes what those before it have left.

Zeghidour et al. 2021 (SoundStream), as in EnCodec and SpeechTokenizer: Euclidean, no projections.

Letters: b (batch), k (codebook), c (entry), d (width), t (frame), f (frame of any row).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slmkit.codecs.codebooks import Learning, follow, nearest_entries, start

TILE = 64
"""Frames that are compared with a codebook at a time: a product of one size rounds in one way,
whatever else is in the batch, and its distances stay in the processor's cache."""


class Quantized(NamedTuple):
    """What training sees of the quantizer.

    Attributes:
        latents: [b, d, t], the entries' sum; its gradient goes straight through to what came in.
        codes: int64 [b, k, t].
        commitment: how far what came in lies from the entries, a mean of squares over codebooks.
        levels: [k, b, d, t], each codebook's own entries, straight through as well.
    """

    latents: Tensor
    codes: Tensor
    commitment: Tensor
    levels: Tensor


class ResidualQuantizer(nn.Module):
    """Codebooks of equal size, the coarse one first.

    Buffers: `entries` [k, c, d]; for training the moving averages of their frames, `sums` [k, c, d]
    and `counts` [k, c], and whether each is `ready` [k]: one that is not starts from k-means over
    the first batch of training.
    """

    def __init__(
        self, codebooks: int, size: int, width: int, learning: Learning | None = None
    ) -> None:
        super().__init__()
        self.learning = learning or Learning()
        self.own = 0
        """So many of the last dimensions are the first codebook's, and none of the others', while
        they learn: Mimi's split quantizer (Defossez et al. 2024) within one space of latents. Its
        entries are zero elsewhere, and theirs there, so that whoever codes needs to know nothing
        of it. 0: all codebooks learn all dimensions."""
        self.entries: Tensor
        self.sums: Tensor
        self.counts: Tensor
        self.ready: Tensor
        self.register_buffer("entries", torch.zeros(codebooks, size, width))
        self.register_buffer("sums", torch.zeros(codebooks, size, width))
        self.register_buffer("counts", torch.zeros(codebooks, size))
        self.register_buffer("ready", torch.zeros(codebooks))
        self._norms: tuple[tuple[int, int], Tensor] | None = None

    def encode(self, latents: Tensor, books: int | None = None) -> Tensor:
        """Codes int64 [b, k, t] of latents [b, d, t] by the first `books` codebooks (None: all)."""
        batch, width, frames = latents.shape
        books = books or len(self.entries)
        left = latents.transpose(1, 2).reshape(-1, width)
        count, norms = len(left), self._half_norms()
        left = F.pad(left, (0, 0, 0, -count % TILE))
        codes = left.new_empty(books, len(left), dtype=torch.int64)
        for tile, into in zip(left.split(TILE), codes.split(TILE, dim=1), strict=True):
            for book in range(books):
                entries = self.entries[book]
                nearest = torch.addmm(norms[book], tile, entries.T, alpha=-1).argmin(dim=-1)
                into[book] = nearest
                tile = tile - entries[nearest]
        return codes[:, :count].view(books, batch, frames).transpose(0, 1).contiguous()

    def decode(self, codes: Tensor, first: int = 0) -> Tensor:
        """Latents [b, d, t] of codes [b, k, t], which are those of codebook `first` and after."""
        latents = F.embedding(codes[:, 0], self.entries[first])
        for book in range(1, codes.shape[1]):
            latents = latents + F.embedding(codes[:, book], self.entries[first + book])
        return latents.transpose(1, 2)

    def forward(self, latents: Tensor, books: int | None = None) -> Quantized:
        """Quantize latents [b, d, t] by the first `books` codebooks; in training mode the codebooks
        follow them. For quantizer dropout draw `books` anew for each batch.
        """
        batch, width, frames = latents.shape
        left = latents.transpose(1, 2).reshape(-1, width)
        levels, codes, commitment = [], [], left.new_zeros(())
        for book in range(books or len(self.entries)):
            heard = self._heard(book, left)
            nearest, chosen = self._level(book, heard.detach())
            commitment = commitment + F.mse_loss(heard, chosen)
            # straight through within each level, as published: the next one sees what is left,
            # but none of its commitment reaches the encoder
            through = heard + (chosen - heard).detach()
            left = left - through
            levels.append(through)
            codes.append(nearest)
        shaped = torch.stack(levels).view(-1, batch, frames, width).transpose(2, 3)
        return Quantized(
            shaped.sum(dim=0),
            torch.stack(codes, dim=0).view(-1, batch, frames).transpose(0, 1),
            commitment / len(levels),
            shaped,
        )

    def draw_books(self, least: int = 1) -> int:
        """A number of codebooks by chance for a batch: quantizer dropout (SoundStream)."""
        return int(torch.randint(least, len(self.entries) + 1, ()))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def begin(self, latents: Tensor, step_frames: float, rounds: int = 10) -> None:
        """Start each codebook by k-means over what those before it leave of latents [b, d, t].

        These may be more than a step of training has: the averages are of `step_frames` a step.
        """
        left = latents.transpose(1, 2).reshape(-1, latents.shape[1])
        share = step_frames / len(left)
        for book, entries in enumerate(self.entries):
            heard = self._heard(book, left)
            found, sizes = start(heard, len(entries), rounds)
            entries.copy_(found)
            self.counts[book] = sizes * share
            self.sums[book] = found * self.counts[book][:, None]
            left = left - entries[nearest_entries(heard, entries)]
        self.ready.fill_(1)

    def scatter(self, latents: Tensor, generator: torch.Generator) -> None:
        """Random entries about where latents [b, d, t] lie, without gradient; each codebook's about
        what those before it leave. For a codec without weights, which is to be tried.
        """
        left = latents.transpose(1, 2).reshape(-1, latents.shape[1])
        for entries in self.entries:
            noise = torch.randn(entries.shape, generator=generator)
            entries.copy_(left.mean(dim=0) + left.std(dim=0) * noise.to(entries))
            left = left - entries[nearest_entries(left, entries)]
        self.sums.copy_(self.entries)
        self.counts.fill_(1)
        self.ready.fill_(1)

    def _heard(self, book: int, left: Tensor) -> Tensor:
        """What a codebook learns of the frames [f, d] that those before it have left."""
        if not self.own:
            return left
        own = torch.arange(left.shape[1], device=left.device) >= left.shape[1] - self.own
        return torch.where(own if book == 0 else ~own, left, 0.0)

    def _level(self, book: int, frames: Tensor) -> tuple[Tensor, Tensor]:
        """The codes [f] of frames [f, d] and their entries [f, d]; in training these learn."""
        entries, sums, counts = self.entries[book], self.sums[book], self.counts[book]
        with torch.no_grad():
            if self.training and not bool(self.ready[book]):
                found, sizes = start(frames, len(entries), self.learning.start_rounds)
                entries.copy_(found)
                counts.copy_(sizes)
                sums.copy_(found * sizes[:, None])
                self.ready[book] = 1
            nearest = nearest_entries(frames, entries)
            chosen = entries[nearest]
            if self.training:
                follow(frames, nearest, entries, sums, counts, self.learning)
        return nearest, chosen

    def _half_norms(self) -> Tensor:
        """Half of each entry's square [k, c]: with it, nearest is one product of matrices."""
        if self.entries.is_inference():
            # made in inference mode, they do not tell whether they have changed since
            return self.entries.square().sum(dim=-1) / 2
        key = (self.entries.data_ptr(), self.entries._version)
        if self._norms is None or self._norms[0] != key:
            self._norms = key, self.entries.square().sum(dim=-1) / 2
        return self._norms[1]
