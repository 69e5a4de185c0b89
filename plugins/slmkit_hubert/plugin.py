"""HuBERT k-means units."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option


@dataclass
class HubertKmOptions:
    """Which model, which layer, which centroids."""

    model: str = option(
        "facebook/hubert-base-ls960", "local folder or hub id of a HubertModel of transformers"
    )
    layer: int = option(9, "its hidden states after this many blocks (1 is the first)")
    clusters: int = option(500, "number of units")
    kmeans: str | None = option(
        None,
        "centroids [clusters, width]: .safetensors, .npy, or a published joblib file (.bin, .pt); "
        "unset: fitted by the stage `fit`",
    )
    allow_pickle: bool = option(
        False, "open a joblib file, which runs the code inside it: only from whom you trust"
    )
    normalize: bool = option(
        False, "scale each wave to zero mean and unit variance first (no fairseq base model does)"
    )
    pad: int = option(0, "zeros before and after each wave; 40 gives floor(n / hop) frames")
    frames: int = option(100000, "at most so many frames are kept to fit on")
    seed: int = option(0, "of the fit")


@hookimpl
def slmkit_tokenizers() -> list[Declaration]:
    return [
        Declaration(
            name="hubert-km",
            summary="k-means units of a HuBERT layer: hubert-base, mHuBERT, 25 Hz mHuBERT",
            target="slmkit_hubert.hubert_km:HubertKm",
            options=HubertKmOptions,
            can=Can(codebooks=1, sample_rate=16000, causal=False),
            source="HuBERT (Hsu et al. 2021), GSLM (Lakhotia et al. 2021)",
        )
    ]
