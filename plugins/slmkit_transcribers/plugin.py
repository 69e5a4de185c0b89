"""Transcribers that judge speech."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option


@dataclass(frozen=True)
class CtcOptions:
    """Sizes of the network, and what it writes."""

    width: int = option(256, "channels of the convolutions")
    layers: int = option(6, "convolutions after the first one")
    kernel: int = option(5, "frames (of 20 ms) that a convolution sees")
    mels: int = option(64, "bands of the log-mel spectrogram")
    dropout: float = option(0.1, "of what a convolution adds, while training")
    alphabet: str = option("abcdefghijklmnopqrstuvwxyz' ", "the characters that it writes")


@hookimpl
def slmkit_transcribers() -> list[Declaration]:
    return [
        Declaration(
            name="ctc",
            summary="small convolutional network from log-mel to characters, trained by a recipe",
            target="slmkit_transcribers.ctc:Ctc",
            options=CtcOptions,
            source="CTC (Graves et al. 2006); convolutions as in Wav2Letter (Collobert et al. 2016)",
            can=Can(sample_rate=16000),
        ),
    ]
