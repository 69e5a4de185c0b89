"""What this package offers; reading it imports nothing heavy."""

from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option


@dataclass(frozen=True)
class ChirpsOptions:
    """Options of `chirps`."""

    songs: int = option(12, "number of utterances")
    notes: int = option(5, "notes of an utterance")
    seed: int = option(0, "of the choice of notes")


@dataclass(frozen=True)
class PitchOptions:
    """Options of `pitch`."""

    units: int = option(24, "number of pitches, evenly spaced in octaves; unit 0 is silence")
    hop_length: int = option(320, "samples at 16 kHz for a frame")


@hookimpl
def slmkit_corpora() -> list[Declaration]:
    return [
        Declaration(
            name="chirps",
            summary="whistled notes, each song with the names of its notes",
            target="chirp.corpus:Chirps",
            options=ChirpsOptions,
            licence="CC0-1.0",
        )
    ]


@hookimpl
def slmkit_tokenizers() -> list[Declaration]:
    return [
        Declaration(
            name="pitch",
            summary="the strongest frequency of each frame",
            target="chirp.tokenizer:Pitch",
            options=PitchOptions,
            can=Can(codebooks=1, sample_rate=16000, causal=True),
        )
    ]


@hookimpl
def slmkit_decodings() -> list[Declaration]:
    return [
        Declaration(
            name="one-voice",
            summary="flatten + linear, for codes of one codebook and no others",
            target="chirp.decoding:OneVoice",
        )
    ]
