"""SpeechTokenizer: codes whose first codebook says what is said."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from slmkit.api import Can, Declaration, hookimpl, option

PUBLISHED = 8
"""Codebooks of the published models."""
ENTRIES = 1024
"""Codes of each of them."""
SIZES = {"filters": 64, "width": 1024, "ratios": [8, 5, 4, 2], "lstm_layers": 2, "entries": ENTRIES}
"""Options that the files of a published model decide."""


@dataclass
class SpeechTokenizerOptions:
    """Which codebooks, and the model's files."""

    codebooks: str = option(
        "1:8", "which to give, counted from 1: '1' is the semantic one, '1:3', '2:8' the timbre"
    )
    weights: str | None = option(
        None, "SpeechTokenizer.pt or its folder, as published; unset: random weights, to try it out"
    )
    config: str | None = option(
        None, "its config.json; unset: the one beside the weights, or the published sizes"
    )
    seed: int = option(0, "of random weights")
    filters: int = option(64, "channels after the first convolution; doubled by each stage")
    width: int = option(1024, "of a latent frame")
    ratios: list[int] = option(
        help="of the decoder's stages; their product is the samples of a frame",
        default_factory=lambda: [8, 5, 4, 2],
    )
    lstm_layers: int = option(2, "of the LSTM in the middle; 0: none")
    entries: int = option(ENTRIES, "codes of each codebook")

    def __post_init__(self) -> None:
        if min(self.filters, self.width, self.entries, *self.ratios) < 1 or self.lstm_layers < 0:
            raise ValueError("filters, width, ratios and entries are at least 1, lstm_layers 0")
        if self.sized and (self.weights or self.config):
            raise ValueError(
                f"{', '.join(self.sized)}: of a model without files; weights and config say theirs"
            )
        _stretch(self.codebooks)

    @property
    def range(self) -> tuple[int, int]:
        """The first and the last codebook, counted from 1."""
        return _stretch(self.codebooks)

    @property
    def sized(self) -> list[str]:
        """The sizes that are not the published ones."""
        return [name for name, value in SIZES.items() if getattr(self, name) != value]

    def can(self, base: Can) -> Can:
        """As many codebooks as are asked for; another config may have another rate."""
        first, last = self.range
        own = self.config is None and self.weights is None
        rates = (16000, 16000 / math.prod(self.ratios)) if own else (None, None)
        return replace(
            base,
            codebooks=last - first + 1,
            codebook_size=self.entries if own else None,
            sample_rate=rates[0],
            frame_rate=rates[1],
            semantic_first=first == 1,
        )


@dataclass
class SpeechTokenizerMiniOptions:
    """Which codebooks."""

    codebooks: str = option(
        "1:8", "which to give, counted from 1: '1' is the semantic one, '1:3', '2:8' the timbre"
    )

    def __post_init__(self) -> None:
        if _stretch(self.codebooks)[1] > PUBLISHED:
            raise ValueError(f"codebooks '{self.codebooks}': there are {PUBLISHED}")

    def can(self, base: Can) -> Can:
        """As many codebooks as are asked for."""
        first, last = _stretch(self.codebooks)
        return replace(base, codebooks=last - first + 1, semantic_first=first == 1)


def _stretch(codebooks: str) -> tuple[int, int]:
    """The first and the last codebook, counted from 1. Raises ValueError."""
    spelt = re.fullmatch(r"(\d+)(?::(\d+))?", str(codebooks))
    if spelt is None:
        raise ValueError(f"codebooks '{codebooks}' is spelt like '1', '1:3' or '2:8'")
    first, last = int(spelt[1]), int(spelt[2] or spelt[1])
    if not 1 <= first <= last:
        raise ValueError(f"codebooks '{codebooks}': counted from 1, the first not after the last")
    return first, last


@hookimpl
def slmkit_tokenizers() -> list[Declaration]:
    return [
        Declaration(
            name="speechtokenizer",
            summary="SpeechTokenizer: 16 kHz at 50 Hz; first codebook semantic, the others timbre",
            target="slmkit_speechtokenizer.speechtokenizer:SpeechTokenizer",
            options=SpeechTokenizerOptions,
            can=Can(codebooks=PUBLISHED, causal=False, decodes=True, learns=True),
            source="Zhang et al. 2023; fnlp/SpeechTokenizer",
            weights_licence="not stated apart from the code's (Apache-2.0)",
        ),
        Declaration(
            name="speechtokenizer-mini",
            summary="a SpeechTokenizer of 2 M weights that slmkit carries: 16 kHz at 50 Hz",
            target="slmkit_speechtokenizer.mini:SpeechTokenizerMini",
            options=SpeechTokenizerMiniOptions,
            can=Can(
                codebook_size=ENTRIES,
                sample_rate=16000,
                frame_rate=50.0,
                causal=False,
                decodes=True,
            ),
            source="Zhang et al. 2023; recipes/speechtokenizer.yaml, profile mini",
            revision=2,
        ),
    ]
