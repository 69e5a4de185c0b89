"""Layouts, heads, refiners and decoding strategies."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option


@dataclass
class FlattenOptions:
    """Whether speech has a first step of its own."""

    start: bool = option(
        True, "<sosp> stands before speech; false: nothing does, and no answer begins speech"
    )


@dataclass
class DelayOptions:
    """How far each codebook lies behind the first."""

    delays: list[int] | None = option(
        None, "steps that each codebook waits, the first 0; unset: 0, 1, 2, .. (MusicGen)"
    )


@dataclass
class BesideOptions:
    """How far speech lies behind the text that is said."""

    ahead: int = option(0, "steps by which words run ahead of their sound")
    delays: list[int] | None = option(
        None, "steps that each codebook waits, the first 0; unset: 0, 1, 1, .. (Moshi)"
    )

    def __post_init__(self) -> None:
        if self.ahead < 0:
            raise ValueError("words run ahead by no less than 0 steps")


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


@dataclass
class MonologueOptions(BesideOptions, DepthOptions):
    """How far speech lies behind the text, and what goes through the streams of a step."""

    head: str = option("depth", "depth, or linear: streams of a step do not know of each other")

    def __post_init__(self) -> None:
        BesideOptions.__post_init__(self)
        DepthOptions.__post_init__(self)
        if self.head not in ("depth", "linear"):
            raise ValueError(f"the head is depth or linear, not '{self.head}'")


@dataclass
class RefinerOptions:
    """The size of the network that refines."""

    width: int = option(256, "of its hidden states; published: 1024")
    layers: int = option(4, "number of layers; published: 12")
    heads: int = option(4, "attention heads; published: 16 (VALL-E), 8 (SoundStorm)")
    dropout: float = option(0.1, "share of what a layer adds that is dropped in training")

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads) < 1 or self.width % (2 * self.heads):
            raise ValueError("width, layers and heads are at least 1, and width / heads is even")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout lies in [0, 1)")


@dataclass
class ValleNarOptions(RefinerOptions):
    """The size of the network, and what it reads of a voice."""

    prompt: str = option(
        "all", "codebooks of a prompt that are read: all, or those before the one due"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prompt not in ("all", "before"):
            raise ValueError(f"prompt is all or before, not '{self.prompt}'")


@dataclass
class ArNarOptions(ValleNarOptions, FlattenOptions):
    """The refiner, and whether speech has a first step of its own."""


@dataclass
class SoundStormOptions(RefinerOptions):
    """The size of the network, and how often it goes over the first fine codebook."""

    steps: int = option(8, "passes over the first fine codebook; the others take one each")
    temperature: float = option(1.0, "of the first fine codebook's choices; 0: the best one")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps < 1 or self.temperature < 0:
            raise ValueError("steps is at least 1, and temperature at least 0")


@hookimpl
def slmkit_layouts() -> list[Declaration]:
    return [
        Declaration(
            name="flatten",
            summary="one stream: the codebooks of a frame one after another, frame by frame",
            target="slmkit_decoding.flatten:Flatten",
            options=FlattenOptions,
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
        Declaration(
            name="beside",
            summary="a stream of text, and behind it one for each codebook, keeping time",
            target="slmkit_decoding.beside:Beside",
            options=BesideOptions,
            source="Moshi (Defossez et al. 2024), Mini-Omni (Xie and Wu 2024)",
            can=Can(streaming=True, causal=True),
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
def slmkit_refiners() -> list[Declaration]:
    return [
        Declaration(
            name="valle-nar",
            summary="codebook after codebook, each at once, from text, a voice and those before",
            target="slmkit_decoding.valle_nar:ValleNar",
            options=ValleNarOptions,
            source="VALL-E (Wang et al. 2023)",
            can=Can(),
        ),
        Declaration(
            name="soundstorm",
            summary="masked codes by confidence: many passes on one codebook, one on the others",
            target="slmkit_decoding.soundstorm:SoundStorm",
            options=SoundStormOptions,
            source="SoundStorm (Borsos et al. 2023)",
            can=Can(),
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
        Declaration(
            name="monologue",
            summary="beside + depth: the words that are said in a stream of their own",
            target="slmkit_decoding.strategies:Monologue",
            options=MonologueOptions,
            source="Moshi (Defossez et al. 2024), Mini-Omni (Xie and Wu 2024)",
            can=can,
        ),
        Declaration(
            name="ar-nar",
            summary="flatten + linear for the first codebook, valle-nar for the others",
            target="slmkit_decoding.strategies:ArNar",
            options=ArNarOptions,
            source="VALL-E (Wang et al. 2023)",
            can=Can(causal=True),
        ),
        Declaration(
            name="soundstorm",
            summary="flatten + linear for the first codebook, soundstorm for the others",
            target="slmkit_decoding.strategies:SoundStorm",
            options=SoundStormOptions,
            source="SoundStorm (Borsos et al. 2023)",
            can=Can(causal=True),
        ),
    ]
