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
from slmkit.codecs.linear import packed, product

AT_ONCE = 1024
"""Frames whose distances to all centroids are in memory together."""


def assign(features: Tensor, centroids: Tensor) -> Tensor:
    """The nearest centroid of each feature [..., d] -> [...]; the first of equals wins.

    The answer is that of float64, so that it never depends on how many frames are assigned at
    once. Most frames need no float64: where the two nearest centroids lie further apart than all
    roundings of float32 together can reach, float32 is as good.
    """
    x = features.reshape(-1, features.shape[-1])
    found = [_assign(some, centroids) for some in x.split(AT_ONCE)]
    nearest = torch.cat(found) if found else x.new_zeros(0, dtype=torch.int64)
    return nearest.view(features.shape[:-1])


def _assign(x: Tensor, centroids: Tensor) -> Tensor:
    """The same for frames [f, d] that fit into memory."""
    # around their mean the products are small, and their roundings with them
    mean = centroids.mean(dim=0)
    near, c = x.float() - mean, centroids.float() - mean
    scores = product(near, packed(-c), 0.5 * (c * c).sum(dim=-1))
    best, nearest = scores.min(dim=-1)
    slack = _rounding(near, c)
    rivals = (scores <= (best + slack)[:, None]).sum(dim=-1)
    # one rival is the best itself; none there is where a feature is not a number
    (unsure,) = torch.nonzero(rivals != 1, as_tuple=True)
    if len(unsure):
        exact, to = x[unsure].double(), centroids.double()
        distances = (to * to).sum(dim=-1) - 2 * (exact @ to.T)
        nearest[unsure] = distances.argmin(dim=-1)
    return nearest


def _rounding(x: Tensor, centroids: Tensor) -> Tensor:
    """How far [f] half the difference of two squared distances can be off in float32.

    The bound of a sum of products in any order (Higham 2002, section 3.1), for both of them, with
    a few roundings more for centring and for the centroids' squares.
    """
    unit = torch.finfo(torch.float32).eps / 2
    longest = centroids.norm(dim=-1).max()
    return 2 * (x.shape[-1] + 8) * unit * longest * (x.norm(dim=-1) + longest)


def fit_kmeans(features: NDArray[np.float32], clusters: int, seed: int, starts: int = 3) -> Tensor:
    """Centroids [c, d] of features [f, d]: mini-batch k-means (Sculley 2010) from the best of
    several starts by k-means++, which take most of the time.

    Raises DataError where there are fewer frames than clusters.
    """
    from sklearn.cluster import MiniBatchKMeans

    if len(features) < clusters:
        raise DataError(
            f"{len(features)} frames are too few to fit {clusters} clusters: give more audio or "
            f"ask for fewer clusters"
        )
    model = MiniBatchKMeans(
        clusters,
        batch_size=4096,
        n_init=starts,
        max_iter=60,
        random_state=seed,
        reassignment_ratio=0.0,
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
