"""EnCodec, 24 kHz mono and 48 kHz stereo, and 16 kHz mono of any size, to be trained."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from slmkit.api import Can, Declaration, hookimpl, option

CODEBOOKS = {
    "24khz": {1.5: 2, 3.0: 4, 6.0: 8, 12.0: 16, 24.0: 32},
    "48khz": {3.0: 2, 6.0: 4, 12.0: 8, 24.0: 16},
}
"""How many codebooks each bit rate uses, kbit/s."""
OWN = "16khz"
"""The variant that nobody has published: its sizes are options, and a recipe trains it."""
ENTRIES = 1024
"""Codes of each codebook."""
BOOKS = 8
"""Codebooks of a model of one's own, unless it says otherwise."""
SIZES = {
    "books": BOOKS,
    "entries": ENTRIES,
    "filters": 32,
    "width": 128,
    "ratios": [8, 5, 4, 2],
    "lstm_layers": 2,
    "causal": True,
}
"""Options of the variant 16khz."""
SEGMENT, SEGMENT_FRAMES = (48000, 47520), 150
"""At 48 kHz: samples of a segment and from one's start to the next one's; frames of it."""


@dataclass
class EncodecOptions:
    """Which model, how many of its codebooks, and its weights."""

    variant: str = option(
        "24khz",
        "24khz (mono, causal, streams), 48khz (stereo, in segments), or 16khz (mono, of the sizes "
        "below, to be trained)",
    )
    kbps: float = option(6.0, "kbit/s: 1.5, 3, 6, 12, 24 at 24 kHz; 3, 6, 12, 24 at 48 kHz")
    weights: str | None = option(
        None,
        "Meta's encodec_*.th, a folder or file of transformers (model.safetensors), or a hub id "
        "such as facebook/encodec_24khz; unset: random weights, to try it out",
    )
    seed: int = option(0, "of random weights")
    books: int = option(BOOKS, "16khz: how many codebooks, in the place of kbps")
    entries: int = option(ENTRIES, "16khz: codes of each codebook")
    filters: int = option(32, "16khz: channels after the first convolution; doubled by each stage")
    width: int = option(128, "16khz: of a latent frame")
    ratios: list[int] = option(
        help="16khz: of the decoder's stages; their product is the samples of a frame",
        default_factory=lambda: [8, 5, 4, 2],
    )
    lstm_layers: int = option(2, "16khz: of the LSTM in the middle; 0: none")
    causal: bool = option(True, "16khz: whether it streams; else its LSTM hears from both sides")

    def __post_init__(self) -> None:
        variants = (*CODEBOOKS, OWN)
        if self.variant not in variants:
            raise ValueError(f"variant is {' or '.join(variants)}, not '{self.variant}'")
        if self.variant == OWN:
            self._check_sizes()
            return
        if self.sized:
            raise ValueError(f"{', '.join(self.sized)}: of variant={OWN} alone")
        rates = CODEBOOKS[self.variant]
        if self.kbps not in rates:
            listed = ", ".join(f"{rate:g}" for rate in rates)
            raise ValueError(f"kbps of {self.variant} is one of {listed}, not {self.kbps:g}")

    def _check_sizes(self) -> None:
        if self.weights is not None:
            raise ValueError(f"variant {OWN} has no published weights: a recipe trains it")
        numbers = (self.books, self.entries, self.filters, self.width, *self.ratios)
        if min(numbers) < 1 or self.lstm_layers < 0:
            raise ValueError(
                "books, entries, filters, width and ratios are at least 1, lstm_layers 0"
            )

    @property
    def sized(self) -> list[str]:
        """The sizes that are not the default ones."""
        return [name for name, value in SIZES.items() if getattr(self, name) != value]

    @property
    def codebooks(self) -> int:
        """How many codebooks are used."""
        if self.variant == OWN:
            return self.books
        return CODEBOOKS[self.variant][self.kbps]

    def can(self, base: Can) -> Can:
        """The two models differ in nearly everything."""
        if self.variant == "24khz":
            return replace(base, codebooks=self.codebooks)
        if self.variant == OWN:
            return replace(
                base,
                codebooks=self.books,
                codebook_size=self.entries,
                sample_rate=16000,
                frame_rate=16000 / math.prod(self.ratios),
                streaming=self.causal,
                causal=self.causal,
            )
        return replace(
            base,
            codebooks=self.codebooks,
            sample_rate=48000,
            frame_rate=SEGMENT_FRAMES * 48000 / SEGMENT[1],
            streaming=False,
            causal=False,
        )


@dataclass
class EncodecMiniOptions:
    """How many of its codebooks."""

    books: int = option(BOOKS, "1 to 8, of 0.5 kbit/s each")

    def __post_init__(self) -> None:
        if not 1 <= self.books <= BOOKS:
            raise ValueError(f"books is 1 to {BOOKS}, not {self.books}")

    def can(self, base: Can) -> Can:
        """As many codebooks as are asked for."""
        return replace(base, codebooks=self.books)


@hookimpl
def slmkit_tokenizers() -> list[Declaration]:
    return [
        Declaration(
            name="encodec",
            summary="EnCodec: 24 kHz mono at 75 Hz, streaming, or 48 kHz stereo at 150 Hz",
            target="slmkit_encodec.encodec:Encodec",
            options=EncodecOptions,
            can=Can(
                codebook_size=ENTRIES,
                sample_rate=24000,
                frame_rate=75.0,
                streaming=True,
                causal=True,
                decodes=True,
                learns=True,
            ),
            source="Defossez et al. 2022; facebook/encodec_24khz, facebook/encodec_48khz",
            weights_licence="not stated apart from the code's (MIT)",
        ),
        Declaration(
            name="encodec-mini",
            summary="an EnCodec of 2 M weights that slmkit carries: 16 kHz at 50 Hz",
            target="slmkit_encodec.mini:EncodecMini",
            options=EncodecMiniOptions,
            can=Can(
                codebook_size=ENTRIES,
                sample_rate=16000,
                frame_rate=50.0,
                causal=False,
                decodes=True,
            ),
            source="Defossez et al. 2022; recipes/encodec.yaml, profile mini",
            revision=2,
        ),
    ]
