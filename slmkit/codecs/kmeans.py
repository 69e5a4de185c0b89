"""K-means over frames: fitted on a sample, assigned exactly.

Letters: f (frame), d (feature), c (cluster).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slmkit.api import DataError


def assign(features: Tensor, centroids: Tensor) -> Tensor:
    """The nearest centroid of each feature [..., d] -> [...]; the first of equals wins.

    Computed in float64: in float32 the sums depend on how many frames are multiplied at once, and
    a frame between two centroids could fall to one alone and to the other in a batch.
    """
    x, c = features.double(), centroids.double()
    distances = (c * c).sum(dim=-1) - 2 * (x @ c.T)
    nearest: Tensor = distances.argmin(dim=-1)
    return nearest


def fit_kmeans(features: NDArray[np.float32], clusters: int, seed: int) -> Tensor:
    """Centroids [c, d] of features [f, d]: mini-batch k-means (Sculley 2010) from k-means++.

    Raises DataError where there are fewer frames than clusters.
    """
    from sklearn.cluster import MiniBatchKMeans

    if len(features) < clusters:
        raise DataError(
            f"{len(features)} frames are too few to fit {clusters} clusters: give more audio or "
            f"ask for fewer clusters"
        )
    model = MiniBatchKMeans(
        clusters, batch_size=4096, n_init=3, max_iter=60, random_state=seed, reassignment_ratio=0.0
    )
    model.fit(features)
    return torch.from_numpy(np.asarray(model.cluster_centers_, dtype=np.float32))


def sample_frames(
    frames: Iterable[NDArray[np.float32]], most: int, seed: int
) -> NDArray[np.float32]:
    """Up to `most` frames [f, d] drawn evenly from a stream of utterances (Vitter's reservoir).

    Memory stays at `most` frames however long the stream is.
    """
    rng = np.random.default_rng(seed)
    kept: NDArray[np.float32] | None = None
    seen = 0
    for chunk in frames:
        if kept is None:
            kept = np.empty((most, chunk.shape[1]), dtype=np.float32)
        room = max(0, min(len(chunk), most - seen))
        kept[seen : seen + room] = chunk[:room]
        later = np.arange(seen + room, seen + len(chunk))
        places = rng.integers(0, later + 1) if len(later) else later
        chosen = places < most
        kept[places[chosen]] = chunk[room:][chosen]
        seen += len(chunk)
    if kept is None:
        raise DataError("there is no audio to fit on")
    return kept[: min(seen, most)]
