"""The tokenizers `mimi`, `dac` and `xcodec`."""

from __future__ import annotations

from dataclasses import dataclass, replace

from slmkit.api import Can, Declaration, hookimpl, option


@dataclass
class CodecOptions:
    """Which weights, and how many codebooks."""

    weights: str = option("", "local folder or hub id of a model of transformers")
    codebooks: int | None = option(None, "the first so many, coarse ones first; unset: all")

    def __post_init__(self) -> None:
        if self.codebooks is not None and self.codebooks < 1:
            raise ValueError(f"{self.codebooks} codebooks code nothing: give 1 or more")

    def can(self, base: Can) -> Can:
        """As many codebooks as are asked for."""
        return base if self.codebooks is None else replace(base, codebooks=self.codebooks)


@dataclass
class MimiOptions(CodecOptions):
    """Which weights, and how many codebooks."""

    weights: str = option(
        "kyutai/mimi", "local folder or hub id of a MimiModel; Moshi takes 8 of its 32 codebooks"
    )


@dataclass
class DacOptions(CodecOptions):
    """Which weights, and how many codebooks."""

    weights: str = option(
        "descript/dac_16khz", "local folder or hub id of a DacModel: 16, 24 or 44.1 kHz"
    )


@dataclass
class XcodecOptions(CodecOptions):
    """Which weights, and how many codebooks."""

    weights: str = option(
        "hf-audio/xcodec-hubert-librispeech", "local folder or hub id of an XcodecModel"
    )


@hookimpl
def slmkit_tokenizers() -> list[Declaration]:
    return [
        Declaration(
            name="mimi",
            summary="Moshi's codec: 12.5 Hz, the first codebook distilled from WavLM",
            target="slmkit_hf_codecs.codecs:Mimi",
            options=MimiOptions,
            can=Can(causal=True, decodes=True),
            source="Moshi (Defossez et al. 2024), transformers' MimiModel",
            weights_licence="CC-BY-4.0",
        ),
        Declaration(
            name="dac",
            summary="Descript's audio codec: residual codebooks of 8 dimensions, any sound",
            target="slmkit_hf_codecs.codecs:Dac",
            options=DacOptions,
            can=Can(causal=False, decodes=True),
            source="DAC (Kumar et al. 2023), transformers' DacModel",
            weights_licence="MIT",
        ),
        Declaration(
            name="xcodec",
            summary="X-Codec: a DAC and a HuBERT coded together, 50 Hz",
            target="slmkit_hf_codecs.codecs:Xcodec",
            options=XcodecOptions,
            can=Can(causal=False, decodes=True),
            source="X-Codec (Ye et al. 2024), transformers' XcodecModel",
            weights_licence="see the model's card",
        ),
    ]
