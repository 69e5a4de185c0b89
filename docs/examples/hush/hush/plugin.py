"""What this package offers; reading it imports nothing heavy."""

from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option

RATE = 16000


@dataclass
class HushOptions:
    """Options of `hush`."""

    pitches: int = option(48, "notes from 80 to 640 Hz")
    levels: int = option(16, "steps of loudness, 4 dB each")


@hookimpl
def slmkit_tokenizers() -> list[Declaration]:
    return [
        Declaration(
            name="hush",
            summary="pitch and loudness of each frame, hummed back",
            target="hush.codec:Hush",
            options=HushOptions,
            can=Can(codebooks=2, sample_rate=RATE, frame_rate=50.0, decodes=True),
        )
    ]
