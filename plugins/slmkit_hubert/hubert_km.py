"""The tokenizer `hubert-km`.

Letters: b (batch), n (sample), t (frame), d (width), c (cluster).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from slmkit.api import (
    Codes,
    CodeSpec,
    DataError,
    FeatureSpec,
    Teacher,
    Tokenizer,
    WeightsError,
)
from slmkit.codecs.kmeans import assign, fit_kmeans, sample_frames
from slmkit.codecs.waves import check_waves
from slmkit_hubert.centroids import read_centroids
from slmkit_hubert.encoder import Encoder
from slmkit_hubert.frontend import FrontEnd
from slmkit_hubert.plugin import HubertKmOptions
from slmkit_hubert.weights import load_hubert
from slmkit_hubert.windows import windows

SAMPLE_RATE = 16000

CONTEXT = 5.0
"""Seconds that windows of a long sound go on past where they are cut."""

TOGETHER = 1024
"""Frames that go through the transformer together, unless one window has more."""


class HubertKm(nn.Module, Tokenizer, Teacher):
    """The nearest of `clusters` centroids to a HuBERT layer's output at each frame.

    A forward of our own over the weights of transformers' HubertModel, which is given only rows of
    one length: hubert-base normalizes its first convolution over time, padding included. Here the
    convolutions run row by row, the transformer over the frames of many rows laid end to end.
    A sound longer than `window` has the statistics of its whole, and its frames attend to
    those of their window.
    """

    def __init__(self, options: HubertKmOptions) -> None:
        super().__init__()
        self.options, self.units = options, options.units
        hubert = load_hubert(self.units.model, self.units.layer)
        self.front = FrontEnd(hubert)
        self.encoder = Encoder(hubert, self.units.layer)
        self.spec = CodeSpec(SAMPLE_RATE, self.front.frames.hop, (self.units.clusters,))
        width = hubert.config.hidden_size
        self.feature_spec = FeatureSpec(SAMPLE_RATE, self.front.frames.hop, width)
        self.centroids: Tensor
        empty = torch.full((self.units.clusters, hubert.config.hidden_size), math.nan)
        self.register_buffer("centroids", empty)
        if options.kmeans is not None:
            found = read_centroids(options.kmeans, options.allow_pickle)
            if found.shape != empty.shape:
                raise WeightsError(
                    f"{options.kmeans}: centroids {tuple(found.shape)}, expected "
                    f"{tuple(empty.shape)} (clusters, width of the model)"
                )
            self.centroids.copy_(found)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> HubertKm:
        """Stays in evaluation: the features are frozen."""
        return super().train(False)

    def state_dict(self, *args: object, **kwargs: object) -> dict[str, Tensor]:
        """The centroids alone; the model is named in the options."""
        return {"centroids": self.centroids}

    def load_state_dict(self, state: dict[str, Tensor], *_: object, **__: object) -> None:  # type: ignore[override]
        self.centroids.copy_(state["centroids"])

    def fit(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Fit the centroids on an even sample of streamed features, unless they were given."""
        if self.options.kmeans is not None:
            return

        def frames() -> Iterator[np.ndarray]:
            for wav, lengths in batches:
                for _, hidden in self._hidden(wav, lengths):
                    yield hidden.cpu().numpy()

        sample = sample_frames(frames(), self.options.frames, self.options.seed)
        self.centroids.copy_(fit_kmeans(sample, self.units.clusters, self.options.seed))

    @torch.inference_mode()
    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        if torch.isnan(self.centroids).any():
            raise DataError(
                "hubert-km has no centroids: give `kmeans` (published ones: "
                f"{self.options.published.centroids}), or run its stage `fit` first"
            )
        units: list[list[Tensor]] = [[] for _ in wav]
        for row, hidden in self._hidden(wav, lengths):
            units[row].append(assign(hidden, self.centroids))
        return Codes.pad([torch.cat(row)[None].to(wav.device) for row in units], self.spec)

    def features(self, wav: Tensor, lengths: Tensor, mean: bool = False) -> list[Tensor]:
        """The layer's output [t, d] of each row; `mean`: of all layers up to it."""
        rows: list[list[Tensor]] = [[] for _ in wav]
        for row, hidden in self._hidden(wav, lengths, mean):
            rows[row].append(hidden)
        return [torch.cat(row) for row in rows]

    def represent(self, wav: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        rows = self.features(wav, lengths, self.options.teaches == "mean")
        frames = torch.tensor([len(row) for row in rows])
        return pad_sequence(rows, batch_first=True), frames

    @torch.inference_mode()
    def _hidden(
        self, wav: Tensor, lengths: Tensor, mean: bool = False
    ) -> Iterator[tuple[int, Tensor]]:
        """(row, what the layer makes of the next frames of it [t, d]), in order."""
        waiting: list[tuple[int, slice, Tensor]] = []
        frames = 0
        for row, kept, entering in self._entering(wav, lengths):
            if waiting and frames + len(entering) > TOGETHER:
                yield from self._encoded(waiting, mean)
                waiting, frames = [], 0
            waiting.append((row, kept, entering))
            frames += len(entering)
        yield from self._encoded(waiting, mean)

    def _encoded(
        self, waiting: list[tuple[int, slice, Tensor]], mean: bool
    ) -> Iterator[tuple[int, Tensor]]:
        hidden = self.encoder([entering for _, _, entering in waiting], mean)
        for (row, kept, _), found in zip(waiting, hidden, strict=True):
            yield row, found[kept]

    def _entering(self, wav: Tensor, lengths: Tensor) -> Iterator[tuple[int, slice, Tensor]]:
        """(row, the frames to keep, all frames that enter the transformer [t, d]) by window."""
        rate = self.spec.frame_rate
        longest, context = round(self.options.window * rate), round(CONTEXT * rate)
        check_waves(wav, lengths)
        waves = [row[:length] for row, length in zip(wav, lengths.tolist(), strict=True)]
        for row, wave in enumerate(waves):
            wave = self._prepared(wave.to(self.centroids.device))
            first = self.front.first(wave)
            for window in windows(self.front.frames.count(len(wave)), longest, context):
                yield row, window.kept, self.front(wave, first, window.start, window.stop)

    def _prepared(self, wave: Tensor) -> Tensor:
        """A wave [n] as the model takes it; zeros fill up one that is shorter than a frame."""
        if self.units.normalize:
            wave = F.layer_norm(wave, wave.shape)
        before = self.units.pad
        after = before + max(0, self.front.frames.sight - len(wave) - 2 * before)
        return F.pad(wave, (before, after)) if before or after else wave
