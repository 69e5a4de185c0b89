"""VALL-E's transformer, and USLM as it was published."""

from __future__ import annotations

import math
from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option


@dataclass(frozen=True)
class ValleOptions:
    """Sizes; published for VALL-E and USLM: 1024, 12, 16, 4096 and 0.1."""

    width: int = option(256, "width of the hidden state")
    layers: int = option(4, "number of layers")
    heads: int = option(4, "attention heads of a layer")
    hidden: int | None = option(None, "width inside the feed-forward network (4 times the width)")
    dropout: float = option(0.0, "of positions and of what a layer adds, while training")
    text_stride: float = option(
        1.0,
        "places from a symbol to the next; as many frames as one lasts, so that text and speech "
        "keep step (as in VoiceStar, Peng et al. 2025). 1: as published",
    )

    def __post_init__(self) -> None:
        hidden = 1 if self.hidden is None else self.hidden
        if min(self.width, self.layers, self.heads, hidden) < 1:
            raise ValueError("width, layers, heads and hidden are at least 1")
        if self.width % (2 * self.heads):
            raise ValueError("width / heads is an even number")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout lies in [0, 1)")
        if not 0 < self.text_stride < math.inf:
            raise ValueError("text_stride is a number above 0")


@hookimpl
def slmkit_backbones() -> list[Declaration]:
    return [
        Declaration(
            name="valle",
            summary="VALL-E's: text seen both ways, speech causally, each numbered by sinusoids",
            target="slmkit_valle.model:Valle",
            options=ValleOptions,
            source="VALL-E (Wang et al. 2023), USLM (SpeechTokenizer, Zhang et al. 2024)",
            can=Can(streaming=True, causal=True),
        )
    ]


@dataclass(frozen=True)
class LoadUslmOptions:
    """The published files, and what they do not say."""

    weights: str = option(help="USLM.pt, as published")
    symbols: str = option(help="unique_text_tokens.k2symbols, as published beside it")
    heads: int = option(16, "attention heads of a layer")
    prefix_mode: int = option(
        0, "how the refiner reads a prompt: 0 codebook by codebook, 1 all of them at once"
    )
    prompt_seconds: float = option(15.0, "seconds of a voice from which it goes on, at most")


@hookimpl
def slmkit_stages() -> list[Declaration]:
    return [
        Declaration(
            name="load-uslm",
            summary="the published USLM as a model of ours, ready to speak",
            target="slmkit_valle.load:load",
            options=LoadUslmOptions,
            source="fnlp/USLM (SpeechTokenizer, Zhang et al. 2024)",
            weights_licence="not stated",
            uses=("tokenizer",),
            leaves=("lm",),
            trains=False,
        )
    ]
