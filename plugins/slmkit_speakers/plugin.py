"""Speaker encoders."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option


@dataclass
class WavLmSvOptions:
    """Which model."""

    model: str = option(
        "microsoft/wavlm-base-plus-sv", "local folder or hub id of a WavLMForXVector"
    )


@hookimpl
def slmkit_speaker_encoders() -> list[Declaration]:
    return [
        Declaration(
            name="resemblyzer",
            summary="256 numbers a voice; its weights come with the package; cosines in 0..1",
            target="slmkit_speakers.ge2e:Resemblyzer",
            can=Can(sample_rate=16000),
            requires=("resemblyzer",),
            extra="eval",
            source="GE2E (Wan et al. 2018), by the package resemblyzer",
        ),
        Declaration(
            name="wavlm-sv",
            summary="WavLM with an x-vector head, through transformers",
            target="slmkit_speakers.wavlm:WavLmSv",
            options=WavLmSvOptions,
            can=Can(sample_rate=16000),
            source="WavLM (Chen et al. 2022)",
        ),
    ]
