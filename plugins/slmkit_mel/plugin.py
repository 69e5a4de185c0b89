"""Parts made of log-mel frames: the tokenizers `mel-km`, `mel-rvq`, the vocoder `griffin-lim`."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option

SAMPLE_RATE = 16000


@dataclass
class MelKmOptions:
    """Frames, features and clusters."""

    clusters: int = option(400, "number of units")
    hop_length: int = option(320, "samples at 16 kHz for a frame: 320 is 50 Hz, 640 is 25 Hz")
    window: int = option(640, "samples of the analysis window")
    mels: int = option(40, "mel bands")
    cepstra: int = option(13, "cosine coefficients of the log-mel; few drop the voice's pitch")
    deltas: bool = option(False, "add each feature's slope over five frames")
    frames: int = option(60000, "at most so many frames are kept to fit on")
    seed: int = option(0, "of the fit")

    def __post_init__(self) -> None:
        if min(self.clusters, self.hop_length, self.cepstra) < 1:
            raise ValueError("clusters, hop_length and cepstra are at least 1")
        if self.window < self.hop_length:
            raise ValueError(
                f"a window of {self.window} samples leaves gaps between frames of "
                f"{self.hop_length}: raise window"
            )
        if self.cepstra >= self.mels:
            raise ValueError(f"{self.mels} mels have fewer than {self.cepstra} cepstra: raise mels")

    def can(self, base: Can) -> Can:
        """Its frame rate follows from the hop, and the clusters are its codes."""
        from dataclasses import replace

        rate = SAMPLE_RATE / self.hop_length
        return replace(base, frame_rate=rate, codebook_size=self.clusters)


@dataclass
class MelRvqOptions:
    """Codebooks and frames."""

    codebooks: int = option(8, "number of codebooks")
    clusters: int = option(256, "entries of each codebook")
    hop_length: int = option(320, "samples at 16 kHz for a frame: 320 is 50 Hz")
    window: int = option(800, "samples of the analysis window")
    mels: int = option(80, "mel bands")
    frames: int = option(60000, "at most so many frames are kept to fit on")
    seed: int = option(0, "of the fit")

    def __post_init__(self) -> None:
        if min(self.codebooks, self.clusters, self.hop_length, self.mels) < 1:
            raise ValueError("codebooks, clusters, hop_length and mels are at least 1")
        if self.window < 2 * self.hop_length:
            raise ValueError(
                f"windows of {self.window} samples overlap by less than half at frames of "
                f"{self.hop_length}, and no sound can be made of them: raise window"
            )
        if self.frames < self.clusters:
            raise ValueError(
                f"{self.frames} frames are too few to fit {self.clusters} clusters: raise frames"
            )

    def can(self, base: Can) -> Can:
        """Codebooks, their size and the frame rate are chosen."""
        from dataclasses import replace

        rate = SAMPLE_RATE / self.hop_length
        return replace(base, codebooks=self.codebooks, codebook_size=self.clusters, frame_rate=rate)


@dataclass
class GriffinLimOptions:
    """Spectra and rounds."""

    window: int = option(1024, "samples of the analysis window")
    mels: int = option(80, "mel bands")
    rounds: int = option(32, "of the search for a phase")


@hookimpl
def slmkit_tokenizers() -> list[Declaration]:
    return [
        Declaration(
            name="mel-km",
            summary="k-means units of normalized cepstra; fitted in seconds",
            target="slmkit_mel.mel_km:MelKm",
            options=MelKmOptions,
            can=Can(codebooks=1, sample_rate=SAMPLE_RATE, causal=False),
            source="HuBERT's first iteration (Hsu et al. 2021): k-means of MFCC and deltas",
        ),
        Declaration(
            name="mel-km-mini",
            summary="mel-km that slmkit carries, fitted: unit-hifigan-mini speaks its units",
            target="slmkit_mel.mini:MelKmMini",
            can=Can(
                codebooks=1,
                codebook_size=400,
                sample_rate=SAMPLE_RATE,
                frame_rate=50.0,
                causal=False,
            ),
            source="Hsu et al. 2021; recipes/unit-hifigan.yaml",
        ),
        Declaration(
            name="mel-rvq",
            summary="residual k-means of log-mel frames, heard by Griffin-Lim; fitted in seconds",
            target="slmkit_mel.mel_rvq:MelRvq",
            options=MelRvqOptions,
            can=Can(sample_rate=SAMPLE_RATE, streaming=True, causal=False, decodes=True),
            source="the start of SoundStream's quantizer (Zeghidour et al. 2021); Griffin and Lim "
            "1984",
        ),
    ]


@hookimpl
def slmkit_vocoders() -> list[Declaration]:
    return [
        Declaration(
            name="griffin-lim",
            summary="each unit's mean mel spectrum through Griffin-Lim; no training, a baseline",
            target="slmkit_mel.griffin_lim:GriffinLim",
            options=GriffinLimOptions,
            can=Can(codebooks=1, deduplicated=True),
            source="Griffin and Lim 1984; Perraudin et al. 2013",
            revision=2,
        )
    ]
