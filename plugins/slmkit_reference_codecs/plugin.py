"""The reference codecs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from slmkit.api import Can, Declaration, hookimpl, option

# with what they declare they would bring torchaudio, which breaks transformers' models
MEND = "pip install --no-deps {}"


@dataclass
class EncodecReferenceOptions:
    """Which weights, and how many codebooks."""

    weights: str | None = option(
        None,
        "local file with the state of EnCodec 24 kHz (encodec_24khz-d7cc33bc.th); unset: random "
        "weights, always the same",
    )
    kbps: float = option(6.0, "kilobits a second: 1.5, 3, 6, 12 or 24 (2 to 32 codebooks)")

    def can(self, base: Can) -> Can:
        """Ten bits a codebook at 75 Hz."""
        return replace(base, codebooks=int(self.kbps * 1000 // 750))


@dataclass
class SpeechTokenizerReferenceOptions:
    """Which weights, of which configuration, and how many codebooks."""

    weights: str | None = option(
        None,
        "local file with the state of the generator (SpeechTokenizer.pt); unset: random weights, "
        "always the same",
    )
    config: str | None = option(None, "local config.json; unset: the published values")
    codebooks: int = option(8, "how many of its codebooks, from the first on")

    def can(self, base: Can) -> Can:
        """A configuration of one's own may have another rate."""
        known = base if self.config is None else replace(base, sample_rate=None, frame_rate=None)
        return replace(known, codebooks=self.codebooks)


@hookimpl
def slmkit_tokenizers() -> list[Declaration]:
    return [
        Declaration(
            name="encodec-reference",
            summary="EnCodec 24 kHz as the package 'encodec' does it, for cross-checks",
            target="slmkit_reference_codecs.encodec:EncodecReference",
            options=EncodecReferenceOptions,
            can=Can(sample_rate=24000, frame_rate=75.0, causal=True, decodes=True),
            requires=("encodec",),
            mend=MEND.format("encodec"),
            source="EnCodec (Defossez et al. 2022), PyPI encodec",
            licence="MIT",
        ),
        Declaration(
            name="speechtokenizer-reference",
            summary="SpeechTokenizer as the package 'speechtokenizer' does it, for cross-checks",
            target="slmkit_reference_codecs.speechtokenizer:SpeechTokenizerReference",
            options=SpeechTokenizerReferenceOptions,
            can=Can(sample_rate=16000, frame_rate=50.0, causal=False, decodes=True),
            requires=("speechtokenizer",),
            mend=MEND.format("speechtokenizer"),
            source="SpeechTokenizer (Zhang et al. 2023), PyPI speechtokenizer",
        ),
    ]
