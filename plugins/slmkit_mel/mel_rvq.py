"""The tokenizer `mel-rvq`: residual k-means of log-mel frames, and sound made of their sum.

Letters: b (batch), k (codebook), c (entry), m (mel band), t (frame), n (sample).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slmkit.api import Codes, CodeSpec, DataError, State, Tokenizer
from slmkit.codecs.codec import check_codes, padded_waves
from slmkit.codecs.griffin_lim import wave_of_log_mel
from slmkit.codecs.kmeans import assign, fit_kmeans, sample_frames
from slmkit.codecs.mel import LogMel
from slmkit.codecs.waves import check_chunk, check_waves
from slmkit_mel.plugin import SAMPLE_RATE, MelRvqOptions

NAME = "mel-rvq"
AT_ONCE = 1024
"""Frames whose windows are in memory together."""
SPOKEN = 1500
"""Frames that are made sound of at a time: half a minute at 50 Hz."""
FADED = 8
"""Frames over which one such stretch fades into the next, whose phase is another."""


class MelRvq(nn.Module, Tokenizer):
    """Each log-mel frame as a sum of entries, one of each codebook.

    The first codebook is k-means of the frames, each one after it of what is left of them. Nothing
    is normalized: voice, level and microphone stay, and the sum can be heard. A frame depends on
    the window of the wave around it and on nothing else.
    """

    def __init__(self, options: MelRvqOptions) -> None:
        super().__init__()
        self.options = options
        sizes = (options.clusters,) * options.codebooks
        self.spec = CodeSpec(SAMPLE_RATE, options.hop_length, sizes)
        self.mel = LogMel(SAMPLE_RATE, options.window, options.hop_length, options.mels)
        self.entries: Tensor
        shape = (options.codebooks, options.clusters, options.mels)
        self.register_buffer("entries", torch.full(shape, math.nan))

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fit one codebook after the other on an even sample of the frames of (wav, lengths)."""
        rows = (row.numpy() for wav, lengths in batches for row in self.log_mel(wav, lengths))
        left = torch.from_numpy(sample_frames(rows, self.options.frames, self.options.seed))
        books = []
        for _ in range(self.options.codebooks):
            # one start will do: what it misses, the next codebook finds
            entries = fit_kmeans(left.numpy(), self.options.clusters, self.options.seed, starts=1)
            left = left - entries[assign(left, entries)]
            books.append(entries)
        self.entries.copy_(torch.stack(books))

    @torch.inference_mode()
    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        self._check_fitted()
        return Codes.pad([self._quantized(row) for row in self.log_mel(wav, lengths)], self.spec)

    @torch.inference_mode()
    def decode(self, codes: Codes) -> tuple[Tensor, Tensor]:
        lengths = check_codes(codes, self.spec, NAME)
        self._check_fitted()
        rows = [row[:, :length] for row, length in zip(codes.values, lengths, strict=True)]
        return padded_waves([torch.cat(list(self._spoken(row))) for row in rows])

    @torch.inference_mode()
    def decode_books(self, codes: Codes, books: Sequence[int]) -> tuple[Tensor, Tensor]:
        lengths = check_codes(codes, self.spec, NAME)
        self._check_fitted()
        rows = [row[:, :length] for row, length in zip(codes.values, lengths, strict=True)]
        return padded_waves([torch.cat(list(self._spoken(row, books))) for row in rows])

    @torch.inference_mode()
    def decode_long(self, codes: Codes) -> Iterator[Tensor]:
        (length,) = check_codes(codes, self.spec, NAME)
        self._check_fitted()
        yield from (wav[None] for wav in self._spoken(codes.values[0, :, :length]))

    def empty_state(self, batch: int) -> State:
        return {"heard": self.entries.new_zeros(batch, self.mel.before)}

    @torch.inference_mode()
    def step(self, chunk: Tensor, state: State) -> tuple[Codes, State]:
        self._check_fitted()
        heard = torch.cat([state["heard"], check_chunk(chunk, NAME)], dim=1)
        hop = self.options.hop_length
        frames = max(0, (heard.shape[1] - self.options.window) // hop + 1)
        # a copy, so that the state does not hold on to the whole chunk
        return self._codes(heard, frames), {"heard": heard[:, frames * hop :].clone()}

    @torch.inference_mode()
    def finish(self, state: State) -> Codes:
        self._check_fitted()
        return self._codes(*self._ended(state["heard"]))

    def log_mel(self, wav: Tensor, lengths: Tensor) -> list[Tensor]:
        """Each row's log-mel [t, m]. Raises AudioError."""
        check_waves(wav, lengths)
        rows = (row[None, :length] for row, length in zip(wav, lengths.tolist(), strict=True))
        heard = (self._ended(F.pad(row, (self.mel.before, 0))) for row in rows)
        return [self._spectra(row[0], frames) for row, frames in heard]

    def log_mel_of(self, codes: Tensor, books: Sequence[int] | None = None) -> Tensor:
        """The log-mel [t, m] that codes [k, t] stand for, or those of some codebooks alone."""
        chosen = torch.tensor(range(len(codes)) if books is None else books, device=codes.device)
        return self.entries[chosen[:, None], codes[chosen]].sum(dim=0)

    def _ended(self, heard: Tensor) -> tuple[Tensor, int]:
        """What was heard [b, n] with silence after its end, and how many frames it has then."""
        frames = -(-(heard.shape[1] - self.mel.before) // self.options.hop_length)
        wanted = (frames - 1) * self.options.hop_length + self.options.window
        return F.pad(heard, (0, max(0, wanted - heard.shape[1]))), frames

    def _codes(self, heard: Tensor, frames: int) -> Codes:
        """The codes of the first frames of what was heard [b, n]."""
        rows = [self._quantized(self._spectra(row, frames)) for row in heard]
        return Codes.pad(rows, self.spec)

    def _spectra(self, heard: Tensor, frames: int) -> Tensor:
        """The log-mel [t, m] of the first frames of what was heard [n].

        In float64, whose roundings are gone in float32: those of a product depend on how many
        frames go through it, and a frame that lies between two entries would change sides.
        """
        if not frames:
            return heard.new_zeros(0, self.options.mels)
        windows = heard.unfold(0, self.options.window, self.options.hop_length)[:frames]
        parts = [self.mel.spectra(some.double()).float() for some in windows.split(AT_ONCE)]
        return torch.cat(parts)

    def _quantized(self, left: Tensor) -> Tensor:
        """The codes [k, t] of log-mel frames [t, m]."""
        codes = []
        for entries in self.entries:
            nearest = assign(left, entries)
            left = left - entries[nearest]
            codes.append(nearest)
        return torch.stack(codes)

    def _spoken(self, codes: Tensor, books: Sequence[int] | None = None) -> Iterator[Tensor]:
        """The wave of one row's codes [k, t], in stretches [n] that fade into each other."""
        hop, frames = self.options.hop_length, codes.shape[1]
        # the phases are unlike, so that it is the powers of the two that add up to one
        turn = torch.linspace(0, math.pi / 2, FADED * hop, device=codes.device)
        before: Tensor | None = None
        for at in range(0, max(1, frames - FADED), SPOKEN):
            part = codes[:, at : at + SPOKEN + FADED]
            wav = wave_of_log_mel(self.log_mel_of(part, books), self.mel)
            if before is not None:
                faded = before * turn.cos() + wav[: len(turn)] * turn.sin()
                wav = torch.cat([faded.clamp(-1.0, 1.0), wav[len(turn) :]])
            last = at + SPOKEN + FADED >= frames
            whole = len(wav) if last else SPOKEN * hop
            before = wav[whole:]
            yield wav[:whole]

    def _check_fitted(self) -> None:
        if torch.isnan(self.entries).any():
            raise DataError(
                f"the tokenizer '{NAME}' has not been fitted: run its stage `fit` first"
            )
