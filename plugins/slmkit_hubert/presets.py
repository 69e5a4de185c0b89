"""The published units: which model, which layer, which centroids, whose licence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

META = "https://dl.fbaipublicfiles.com"


@dataclass(frozen=True)
class Units:
    """All that a unit depends on but the centroids' values.

    Attributes:
        model: folder or hub id of a HubertModel of transformers.
        layer: units are of its hidden states after this many blocks.
        clusters: number of units.
        normalize: whether each wave is scaled to zero mean and unit variance first.
        pad: zeros before and after each wave, samples.
    """

    model: str
    layer: int
    clusters: int
    normalize: bool
    pad: int


@dataclass(frozen=True)
class Preset:
    """Published units.

    Attributes:
        units: how they are made.
        frame_rate: units a second, Hz.
        centroids: address of their k-means file, a joblib pickle.
        licence: of the model and the centroids.
    """

    units: Units
    frame_rate: float
    centroids: str
    licence: str


PRESETS: Mapping[str, Preset] = {
    # fairseq's HuBERT (Hsu et al. 2021), the ninth of twelve layers
    "hubert-base-l9-km500": Preset(
        Units("facebook/hubert-base-ls960", 9, 500, normalize=False, pad=0),
        frame_rate=50,
        centroids=f"{META}/hubert/hubert_base_ls960_L9_km500.bin",
        licence="Apache-2.0",
    ),
    # of textless speech translation (Lee et al. 2022), in SpeechGPT's units; transformers' format
    # of it is a stranger's, Meta's own file being one of fairseq
    "mhubert-l11-km1000": Preset(
        Units("voidful/mhubert-base", 11, 1000, normalize=False, pad=0),
        frame_rate=50,
        centroids=f"{META}/hubert/mhubert_base_vp_en_es_fr_it3_L11_km1000.bin",
        licence="MIT",
    ),
    # TWIST's (Hassid et al. 2023) as slamkit uses them; textlesslib does not pad
    "mhubert-25hz-l11-km500": Preset(
        Units("slprl/mhubert-base-25hz", 11, 500, normalize=False, pad=40),
        frame_rate=25,
        centroids=f"{META}/textless_nlp/twist/speech_tokenizer/"
        "mhubert_base_25hz_cp_mls_cv_sp_fisher_L11_km500.bin",
        licence="MIT",
    ),
}
