"""Files of k-means centroids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from slmkit.api import WeightsError

PICKLES = (".bin", ".pt", ".joblib", ".pkl")


def read_centroids(path: str | Path, allow_pickle: bool = False) -> Tensor:
    """Centroids [c, d], float32, of a .safetensors or .npy file.

    The published files are joblib pickles of scikit-learn's MiniBatchKMeans: opening one runs code
    that lies in it. With `allow_pickle` that is done once, and the centroids are written beside it
    as .safetensors, which is read from then on. Raises WeightsError.
    """
    path = Path(path)
    converted = path.with_suffix(path.suffix + ".safetensors")
    if path.suffix in PICKLES and converted.exists():
        path = converted
    if not path.exists():
        raise WeightsError(f"{path}: no such file of k-means centroids")
    if path.suffix == ".safetensors":
        return _safetensors(path)
    if path.suffix == ".npy":
        try:
            return torch.from_numpy(np.load(path, allow_pickle=False)).float()
        except ValueError as error:
            raise WeightsError(f"{path}: not an array of centroids: {error}") from None
    if path.suffix not in PICKLES:
        raise WeightsError(f"{path}: centroids are .safetensors, .npy, or a joblib file")
    if not allow_pickle:
        raise WeightsError(
            f"{path}: a pickle, which can run any code when it is opened; if you trust who made "
            f"it, set allow_pickle=true once, and it is converted to {converted.name}"
        )
    return _convert(path, converted)


def _safetensors(path: Path) -> Tensor:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"{path}: not a safetensors file: {error}") from None
    if "centroids" not in tensors:
        raise WeightsError(f"{path}: holds {', '.join(tensors)}, not 'centroids'")
    return tensors["centroids"].float()


def _convert(path: Path, converted: Path) -> Tensor:
    import joblib
    from safetensors.torch import save_file

    try:
        model = joblib.load(path)
    except Exception as error:
        raise WeightsError(f"{path}: not a joblib file: {error}") from None
    centers = getattr(model, "cluster_centers_", None)
    if centers is None:
        raise WeightsError(f"{path}: holds {type(model).__name__}, which has no cluster_centers_")
    centroids = torch.from_numpy(np.ascontiguousarray(centers)).float()
    save_file({"centroids": centroids}, converted)
    return centroids
