"""HuBERT k-means units."""

from __future__ import annotations

from dataclasses import dataclass, replace

from slmkit.api import Can, Declaration, hookimpl, nearest, option
from slmkit_hubert.presets import PRESETS, Preset, Units


@dataclass
class HubertKmOptions:
    """Which units, by the name of published ones or one by one."""

    preset: str = option("hubert-base-l9-km500", f"published units: {', '.join(PRESETS)}")
    model: str | None = option(
        None, "local folder or hub id of a HubertModel of transformers; unset: the preset's"
    )
    layer: int | None = option(
        None, "its hidden states after this many blocks, from 1; unset: the preset's"
    )
    clusters: int | None = option(None, "number of units; unset: the preset's")
    kmeans: str | None = option(
        None,
        "centroids [clusters, width]: .safetensors, .npy, or a published joblib file (.bin, .pt); "
        "unset: fitted by the stage `fit`",
    )
    allow_pickle: bool = option(
        False, "open a joblib file, which runs the code inside it: only from whom you trust"
    )
    normalize: bool | None = option(
        None, "scale each wave to zero mean and unit variance first; unset: the preset's (no)"
    )
    pad: int | None = option(
        None,
        "zeros before and after each wave; 40 gives floor(n / hop) frames; unset: the preset's",
    )
    window: float = option(
        100.0, "seconds; longer sounds go in windows that overlap, so that memory is bounded"
    )
    frames: int = option(100000, "at most so many frames are kept to fit on")
    seed: int = option(0, "of the fit")
    teaches: str = option(
        "layer",
        "what a codec learns from: the layer, or the mean of all hidden states up to it, that "
        "before the first block included",
    )

    def __post_init__(self) -> None:
        if self.teaches not in ("layer", "mean"):
            raise ValueError(f"teaches 'layer' or 'mean', not '{self.teaches}'")
        if self.preset not in PRESETS:
            near = nearest(self.preset, PRESETS) or PRESETS
            raise ValueError(f"no preset '{self.preset}'; there are: {', '.join(near)}")
        if self.window < 20:
            raise ValueError(f"a window of {self.window:g} s is too short for its context: 20")

    @property
    def published(self) -> Preset:
        """The preset."""
        return PRESETS[self.preset]

    @property
    def units(self) -> Units:
        """The preset's units, save for what is given here."""
        given = {
            name: value
            for name in ("model", "layer", "clusters", "normalize", "pad")
            if (value := getattr(self, name)) is not None
        }
        return replace(self.published.units, **given)

    def can(self, base: Can) -> Can:
        """Its frame rate is the preset's, unless the model is another one."""
        return base if self.model else replace(base, frame_rate=self.published.frame_rate)


@hookimpl
def slmkit_tokenizers() -> list[Declaration]:
    files = "; ".join(f"{name}: {preset.centroids}" for name, preset in PRESETS.items())
    weights = ", ".join(f"{preset.licence} ({name})" for name, preset in PRESETS.items())
    return [
        Declaration(
            name="hubert-km",
            summary="k-means units of a HuBERT layer: hubert-base, mHuBERT, 25 Hz mHuBERT",
            target="slmkit_hubert.hubert_km:HubertKm",
            options=HubertKmOptions,
            can=Can(codebooks=1, sample_rate=16000, causal=False, teaches=True),
            source=(
                "HuBERT (Hsu et al. 2021), GSLM (Lakhotia et al. 2021), TWIST (Hassid et al. "
                f"2023); centroids to give as `kmeans`, {files}"
            ),
            licence=f"Apache-2.0; weights: {weights}",
            revision=2,
        )
    ]
