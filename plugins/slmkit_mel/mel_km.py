"""The tokenizer `mel-km`: k-means units of cepstra.

Letters: b (batch), n (sample), t (frame), d (feature).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from slmkit.api import Codes, CodeSpec, DataError, Tokenizer
from slmkit.codecs.kmeans import assign, fit_kmeans, sample_frames
from slmkit.codecs.mel import LogMel
from slmkit.codecs.waves import check_waves
from slmkit_mel.plugin import SAMPLE_RATE, MelKmOptions

LEAST_SPREAD = 1e-2
"""Features that hardly vary in an utterance (silence) are not blown up to unit variance."""


class MelKm(nn.Module, Tokenizer):
    """Cepstra of each frame, normalized over the utterance, to the nearest of `clusters` centroids.

    Mean and variance are taken over the utterance's own frames, so that voice, level and
    microphone weigh little; a unit therefore depends on the whole utterance and on nothing else.
    """

    def __init__(self, options: MelKmOptions) -> None:
        super().__init__()
        self.options = options
        self.spec = CodeSpec(SAMPLE_RATE, options.hop_length, (options.clusters,))
        self.mel = LogMel(SAMPLE_RATE, options.window, options.hop_length, options.mels)
        self.transform: Tensor
        self.centroids: Tensor
        matrix = cosine_transform(options.mels, options.cepstra)
        self.register_buffer("transform", matrix, persistent=False)
        width = (options.cepstra + 1) * (2 if options.deltas else 1)
        self.register_buffer("centroids", torch.full((options.clusters, width), math.nan))

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fit the centroids on an even sample of the frames of (wav, lengths) batches."""

        def frames() -> Iterator[np.ndarray]:
            for wav, lengths in batches:
                for row in self.features(wav, lengths):
                    yield row.numpy()

        sample = sample_frames(frames(), self.options.frames, self.options.seed)
        self.centroids.copy_(fit_kmeans(sample, self.options.clusters, self.options.seed))

    @torch.inference_mode()
    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        if torch.isnan(self.centroids).any():
            raise DataError("the tokenizer 'mel-km' has not been fitted: run its stage `fit` first")
        rows = self.features(wav, lengths)
        return Codes.pad([assign(row, self.centroids)[None] for row in rows], self.spec)

    def features(self, wav: Tensor, lengths: Tensor) -> list[Tensor]:
        """Each row's features [t, d]. Raises AudioError.

        Rows are computed one by one: a product of matrices rounds otherwise when it has more
        rows, and a frame that lies between two centroids would change sides. It costs no time.
        """
        check_waves(wav, lengths)
        return [
            self._features(row[:length]) for row, length in zip(wav, lengths.tolist(), strict=True)
        ]

    def _features(self, wav: Tensor) -> Tensor:
        """Features [t, d] of one wave [n]."""
        mel = self.mel(wav[None])[0]
        cepstra = torch.cat([mel @ self.transform, mel.mean(dim=-1, keepdim=True)], dim=-1)
        centred = cepstra - cepstra.mean(dim=0)
        spread = centred.square().mean(dim=0).sqrt()
        static = centred / spread.clamp(min=LEAST_SPREAD)
        if not self.options.deltas:
            return static
        return torch.cat([static, slopes(static)], dim=-1)


def cosine_transform(mels: int, cepstra: int) -> Tensor:
    """The orthonormal cosine transform [mels, cepstra], without the coefficient of the level."""
    bands = torch.arange(mels, dtype=torch.float64) + 0.5
    orders = torch.arange(1, cepstra + 1, dtype=torch.float64)
    return (torch.cos(torch.outer(bands, orders) * math.pi / mels) * math.sqrt(2 / mels)).float()


def slopes(features: Tensor) -> Tensor:
    """Each feature's slope by regression over five frames [t, d]; ends are held."""
    padded = torch.cat([features[:1].expand(2, -1), features, features[-1:].expand(2, -1)])
    near = padded[3:-1] - padded[1:-3]
    far = padded[4:] - padded[:-4]
    return (near + 2 * far) / 10
