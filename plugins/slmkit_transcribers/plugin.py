"""Transcribers that judge speech."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option


@dataclass(frozen=True)
class CtcOptions:
    """Sizes of the network, and what it writes."""

    width: int = option(256, "channels of the convolutions")
    layers: int = option(5, "convolutions after the first one")
    kernel: int = option(9, "frames (of 20 ms) that a convolution sees")
    mels: int = option(64, "bands of the log-mel spectrogram")
    dropout: float = option(0.1, "of what a convolution adds, while training")
    alphabet: str = option("abcdefghijklmnopqrstuvwxyz' ", "the characters that it writes")


@dataclass(frozen=True)
class WhisperOptions:
    """Which Whisper."""

    model: str = option("openai/whisper-medium.en", "local folder or hub id")
    language: str | None = option(None, "of a model of many languages, such as 'en'; unset: found")


@dataclass(frozen=True)
class Wav2Vec2Options:
    """Which wav2vec 2.0 (or HuBERT) with a CTC head."""

    model: str = option("facebook/wav2vec2-base-960h", "local folder or hub id")


@hookimpl
def slmkit_transcribers() -> list[Declaration]:
    return [
        Declaration(
            name="ctc",
            summary="small convolutional network from log-mel to characters, trained by a recipe",
            target="slmkit_transcribers.ctc:Ctc",
            options=CtcOptions,
            source="CTC (Graves et al. 2006); Wav2Letter (Collobert et al. 2016)",
            can=Can(sample_rate=16000, teaches=True),
        ),
        Declaration(
            name="ctc-mini",
            summary="a ctc that slmkit carries: it knows the corpus spoken-qa, and little else",
            target="slmkit_transcribers.mini:CtcMini",
            source="CTC (Graves et al. 2006); recipes/speechgpt.yaml, slot judge",
            can=Can(sample_rate=16000, teaches=True),
        ),
        Declaration(
            name="whisper",
            summary="OpenAI's Whisper through transformers; half-minute windows",
            target="slmkit_transcribers.whisper:Whisper",
            options=WhisperOptions,
            source="Radford et al. 2022",
            can=Can(sample_rate=16000),
        ),
        Declaration(
            name="wav2vec2",
            summary="wav2vec 2.0 or HuBERT with a CTC head, through transformers",
            target="slmkit_transcribers.wav2vec2:Wav2Vec2",
            options=Wav2Vec2Options,
            source="Baevski et al. 2020",
            can=Can(sample_rate=16000),
        ),
    ]
