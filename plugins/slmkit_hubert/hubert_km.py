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

from slmkit.api import Codes, CodeSpec, DataError, Tokenizer, WeightsError
from slmkit.codecs.kmeans import assign, fit_kmeans, sample_frames
from slmkit.codecs.waves import check_waves
from slmkit_hubert.centroids import read_centroids
from slmkit_hubert.plugin import HubertKmOptions

SAMPLE_RATE = 16000


class HubertKm(nn.Module, Tokenizer):
    """The nearest of `clusters` centroids to a HuBERT layer's output at each frame.

    Rows go through the network one by one. hubert-base normalizes its first convolution over time,
    padding included, mask or not: a padded row would get other units than alone. Even among rows
    of one length products of matrices round otherwise than alone, by 4e-6.
    """

    def __init__(self, options: HubertKmOptions) -> None:
        super().__init__()
        self.options = options
        self.hubert = load_hubert(options.model)
        config = self.hubert.config
        if not 1 <= options.layer <= config.num_hidden_layers:
            raise WeightsError(
                f"hubert-km: layer {options.layer} of {options.model}, which has layers 1 to "
                f"{config.num_hidden_layers}"
            )
        self.kernels, self.strides = list(config.conv_kernel), list(config.conv_stride)
        self.spec = CodeSpec(SAMPLE_RATE, math.prod(self.strides), (options.clusters,))
        self.centroids: Tensor
        empty = torch.full((options.clusters, config.hidden_size), math.nan)
        self.register_buffer("centroids", empty)
        if options.kmeans is not None:
            found = read_centroids(options.kmeans, options.allow_pickle)
            if found.shape != empty.shape:
                raise WeightsError(
                    f"{options.kmeans}: centroids {tuple(found.shape)}, expected "
                    f"{tuple(empty.shape)} (clusters, width of the model)"
                )
            self.centroids.copy_(found)
        self.hubert.requires_grad_(False).eval()

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
                for row in self.features(wav, lengths):
                    yield row.numpy()

        sample = sample_frames(frames(), self.options.frames, self.options.seed)
        self.centroids.copy_(fit_kmeans(sample, self.options.clusters, self.options.seed))

    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        if torch.isnan(self.centroids).any():
            raise DataError(
                "hubert-km has no centroids: give `kmeans`, or run its stage `fit` first"
            )
        rows = self.features(wav, lengths)
        return Codes.pad([assign(row, self.centroids)[None] for row in rows], self.spec)

    @torch.inference_mode()
    def features(self, wav: Tensor, lengths: Tensor) -> list[Tensor]:
        """The layer's output [t, d] of each row. Raises AudioError."""
        check_waves(wav, lengths)
        return [
            self._features(row[:length]) for row, length in zip(wav, lengths.tolist(), strict=True)
        ]

    def _features(self, wav: Tensor) -> Tensor:
        """[t, d] of one wave [n]; one that is shorter than a frame is filled up with zeros."""
        if self.options.normalize:
            wav = F.layer_norm(wav, wav.shape)
        wav = F.pad(wav, (self.options.pad, self.options.pad))
        wav = F.pad(wav, (0, max(0, self._shortest - len(wav))))
        states = self.hubert(wav[None], output_hidden_states=True).hidden_states
        hidden: Tensor = states[self.options.layer][0]
        return hidden

    @property
    def _shortest(self) -> int:
        """Samples of one frame: 400 for hubert-base."""
        samples = 1
        for kernel, stride in zip(reversed(self.kernels), reversed(self.strides), strict=True):
            samples = (samples - 1) * stride + kernel
        return samples


def load_hubert(model: str) -> nn.Module:
    """A HubertModel in float32 from a folder or the hub's cache. Raises WeightsError."""
    from transformers import HubertModel

    try:
        loaded: nn.Module = HubertModel.from_pretrained(model, dtype=torch.float32)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(
            f"hubert-km: no model at '{model}' ({reason}); give a folder with config.json and "
            f"model.safetensors, or download it: hf download {model}"
        ) from None
    return loaded
