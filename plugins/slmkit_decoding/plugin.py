"""Layouts, heads and decoding strategies."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option


@dataclass
class DelayOptions:
    """How far each codebook lies behind the first."""

    delays: list[int] | None = option(
        None, "steps that each codebook waits, the first 0; unset: 0, 1, 2, .. (MusicGen)"
    )


@dataclass
class DepthOptions:
    """The transformer over the codebooks of a step."""

    width: int = option(128, "of its hidden states")
    layers: int = option(2, "number of layers")
    heads: int = option(4, "attention heads")
    shared: bool = option(True, "all codebooks share its weights; false: each has its own (Moshi)")

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads) < 1 or self.width % self.heads:
            raise ValueError("width, layers and heads are at least 1, and heads divide the width")


@dataclass
class DepthStrategyOptions(DepthOptions):
    """Delays, and the transformer over the codebooks of a step."""

    delays: list[int] | None = option(
        None, "steps that each codebook waits; unset: 0, 1, 1, .. (Moshi)"
    )


@hookimpl
def slmkit_layouts() -> list[Declaration]:
    return [
        Declaration(
            name="flatten",
            summary="one stream: the codebooks of a frame one after another, frame by frame",
            target="slmkit_decoding.flatten:Flatten",
            source="AudioLM (Borsos et al. 2022); of one codebook: GSLM (Lakhotia et al. 2021)",
            can=Can(streaming=True, causal=True),
        ),
        Declaration(
            name="delay",
            summary="a stream for each codebook, each behind the first by its delay, or by none",
            target="slmkit_decoding.delay:Delay",
            options=DelayOptions,
            source="MusicGen (Copet et al. 2023); Moshi (Defossez et al. 2024)",
            can=Can(streaming=True, causal=True),
        ),
        Declaration(
            name="coarse-first",
            summary="one stream: all of the first codebook, then all of the second",
            target="slmkit_decoding.coarse_first:CoarseFirst",
            source="AudioLM (Borsos et al. 2022)",
            can=Can(causal=True),
        ),
    ]


@hookimpl
def slmkit_heads() -> list[Declaration]:
    return [
        Declaration(
            name="linear",
            summary="one projection to the vocabulary for each stream",
            target="slmkit_decoding.linear:Linear",
            can=Can(streaming=True, causal=True),
        ),
        Declaration(
            name="depth",
            summary="a small transformer over the streams of a step, each knowing those before it",
            target="slmkit_decoding.depth:Depth",
            options=DepthOptions,
            source="UniAudio (Yang et al. 2023), Moshi (Defossez et al. 2024)",
            can=Can(streaming=True, causal=True),
        ),
    ]


@hookimpl
def slmkit_decodings() -> list[Declaration]:
    can = Can(streaming=True, causal=True)
    return [
        Declaration(
            name="flat",
            summary="flatten + linear: an ordinary language model over text and codes",
            target="slmkit_decoding.strategies:Flat",
            source="SpeechGPT (Zhang et al. 2023), GSLM (Lakhotia et al. 2021)",
            can=can,
        ),
        Declaration(
            name="parallel",
            summary="no delay + linear: all codebooks of a frame at once",
            target="slmkit_decoding.strategies:Parallel",
            source="compared in MusicGen (Copet et al. 2023)",
            can=can,
        ),
        Declaration(
            name="delay",
            summary="delay + linear: a step a frame, each codebook one step behind",
            target="slmkit_decoding.strategies:Delay",
            options=DelayOptions,
            source="MusicGen (Copet et al. 2023)",
            can=can,
        ),
        Declaration(
            name="depth",
            summary="delay + depth: a step a frame, a small transformer within it",
            target="slmkit_decoding.strategies:Depth",
            options=DepthStrategyOptions,
            source="UniAudio (Yang et al. 2023), Moshi (Defossez et al. 2024)",
            can=can,
        ),
        Declaration(
            name="coarse-first",
            summary="coarse-first + linear: one codebook after the other",
            target="slmkit_decoding.strategies:CoarseFirst",
            source="AudioLM (Borsos et al. 2022)",
            can=Can(causal=True),
        ),
    ]
