"""EnCodec, 24 kHz mono and 48 kHz stereo."""

from __future__ import annotations

from dataclasses import dataclass, replace

from slmkit.api import Can, Declaration, hookimpl, option

CODEBOOKS = {
    "24khz": {1.5: 2, 3.0: 4, 6.0: 8, 12.0: 16, 24.0: 32},
    "48khz": {3.0: 2, 6.0: 4, 12.0: 8, 24.0: 16},
}
"""How many codebooks each bit rate uses, kbit/s."""


@dataclass
class EncodecOptions:
    """Which model, how many of its codebooks, and its weights."""

    variant: str = option("24khz", "24khz (mono, causal, streams) or 48khz (stereo, in segments)")
    kbps: float = option(6.0, "kbit/s: 1.5, 3, 6, 12, 24 at 24 kHz; 3, 6, 12, 24 at 48 kHz")
    weights: str | None = option(
        None,
        "Meta's encodec_*.th, a folder or file of transformers (model.safetensors), or a hub id "
        "such as facebook/encodec_24khz; unset: random weights, to try it out",
    )
    seed: int = option(0, "of random weights")

    def __post_init__(self) -> None:
        if self.variant not in CODEBOOKS:
            raise ValueError(f"variant is {' or '.join(CODEBOOKS)}, not '{self.variant}'")
        rates = CODEBOOKS[self.variant]
        if self.kbps not in rates:
            listed = ", ".join(f"{rate:g}" for rate in rates)
            raise ValueError(f"kbps of {self.variant} is one of {listed}, not {self.kbps:g}")

    @property
    def codebooks(self) -> int:
        """How many codebooks are used."""
        return CODEBOOKS[self.variant][self.kbps]

    def can(self, base: Can) -> Can:
        """The two models differ in nearly everything."""
        if self.variant == "24khz":
            return replace(base, codebooks=self.codebooks)
        return replace(
            base,
            codebooks=self.codebooks,
            sample_rate=48000,
            frame_rate=150.0,
            streaming=False,
            causal=False,
        )


@hookimpl
def slmkit_tokenizers() -> list[Declaration]:
    return [
        Declaration(
            name="encodec",
            summary="EnCodec: 24 kHz mono at 75 Hz, streaming, or 48 kHz stereo at 150 Hz",
            target="slmkit_encodec.encodec:Encodec",
            options=EncodecOptions,
            can=Can(sample_rate=24000, frame_rate=75.0, streaming=True, causal=True, decodes=True),
            source="Defossez et al. 2022; facebook/encodec_24khz, facebook/encodec_48khz",
        )
    ]
