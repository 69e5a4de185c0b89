"""The unit HiFi-GAN vocoder."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option


@dataclass
class UnitHifiGanOptions:
    """Sizes; published checkpoints bring their own in their config.json."""

    weights: str | None = option(
        None, "checkpoint of fairseq's CodeHiFiGAN ({'generator': ...}); needs `config`"
    )
    config: str | None = option(None, "its config.json, which then decides every size")
    embedding_dim: int = option(128, "width of a unit's embedding")
    upsample_rates: list[int] = option(
        help="their product is the samples of a frame", default_factory=lambda: [5, 4, 4, 4]
    )
    upsample_kernel_sizes: list[int] = option(
        help="of the transposed convolutions", default_factory=lambda: [11, 8, 8, 8]
    )
    upsample_initial_channel: int = option(192, "channels before the first, halved by each")
    resblock_kernel_sizes: list[int] = option(
        help="of the residual blocks", default_factory=lambda: [3, 7]
    )
    resblock_dilations: list[int] = option(
        help="of each residual block", default_factory=lambda: [1, 3]
    )
    duration_dropout: float = option(0.5, "of the duration predictor; less for one clear voice")
    speakers: int = option(0, "voices of a table, one for each speaker it learns from; 0: none")
    speaker_width: int = option(0, "width of a speaker encoder's embedding; 0: none")
    voice: str | None = option(
        None, "name or number of the voice that speaks where nobody asks for one"
    )

    def __post_init__(self) -> None:
        if self.speakers and self.speaker_width:
            raise ValueError(
                "voices come from a table or from a speaker encoder: speakers or speaker_width, "
                "not both"
            )
        if self.voice and not (self.speakers or self.speaker_width or self.config):
            raise ValueError("voice needs voices to choose from: speakers or speaker_width")

    def can(self, base: Can) -> Can:
        """It takes voices where it has a table or reads embeddings, and needs one each time
        unless it has a voice of its own."""
        from dataclasses import replace

        taken = ("speaker-embedding",) if self.speaker_width else ()
        taken = ("speaker-name",) if self.speakers else taken
        return replace(base, conditioning=taken, needs=() if self.voice else taken)


@dataclass
class UnitHifiGanMiniOptions:
    """Who speaks."""

    voice: str | None = option("en-us", "the voice where nobody asks for one; slmkit carries nine")


@hookimpl
def slmkit_vocoders() -> list[Declaration]:
    return [
        Declaration(
            name="unit-hifigan",
            summary="HiFi-GAN over units with a duration predictor; loads fairseq's CodeHiFiGAN",
            target="slmkit_hifigan.vocoder:UnitHifiGanVocoder",
            options=UnitHifiGanOptions,
            can=Can(codebooks=1, deduplicated=True, streaming=True),
            source="Polyak et al. 2021; Lee et al. 2022 (fairseq's CodeHiFiGAN)",
        ),
        Declaration(
            name="unit-hifigan-mini",
            summary="a unit-hifigan that slmkit carries, for mel-km-mini: nine voices, and others",
            target="slmkit_hifigan.mini:UnitHifiGanMini",
            options=UnitHifiGanMiniOptions,
            can=Can(
                codebooks=1,
                sample_rate=16000,
                frame_rate=50.0,
                deduplicated=True,
                streaming=True,
                conditioning=("speaker-embedding",),
            ),
            source="Polyak et al. 2021; recipes/unit-hifigan.yaml",
        ),
    ]
