"""Metrics."""

from __future__ import annotations

from slmkit.api import Declaration, hookimpl


@hookimpl
def slmkit_metrics() -> list[Declaration]:
    return [
        Declaration(
            name="wer",
            summary="word error rate, % (lower case, without punctuation)",
            target="slmkit_metrics.text:WordErrorRate",
        ),
        Declaration(
            name="cer",
            summary="character error rate, % (lower case, without punctuation)",
            target="slmkit_metrics.text:CharacterErrorRate",
        ),
        Declaration(
            name="exact",
            summary="share of texts that are right to the letter, % (as `wer` reads them)",
            target="slmkit_metrics.text:Exact",
        ),
        Declaration(
            name="mel-distance",
            summary="mean L1 between log-mel spectra, nats",
            target="slmkit_metrics.wave:MelDistance",
        ),
        Declaration(
            name="stft-distance",
            summary="spectral convergence plus L1 of log magnitudes, over three windows",
            target="slmkit_metrics.wave:StftDistance",
            source="Yamamoto et al. 2020 (Parallel WaveGAN)",
        ),
        Declaration(
            name="si-sdr",
            summary="scale-invariant signal-to-distortion ratio, dB",
            target="slmkit_metrics.wave:SiSdr",
            source="Le Roux et al. 2019",
        ),
        Declaration(
            name="pesq",
            summary="perceptual quality, wide band at 16 kHz, 1..4.64",
            target="slmkit_metrics.wave:Pesq",
            requires=("pesq",),
            extra="eval",
            source="ITU-T P.862.2, by the package pesq",
        ),
        Declaration(
            name="stoi",
            summary="short-time objective intelligibility, 0..1",
            target="slmkit_metrics.wave:Stoi",
            requires=("pystoi",),
            extra="eval",
            source="Taal et al. 2011, by pystoi",
        ),
        Declaration(
            name="unit-edit-distance",
            summary="edits between two sequences of units, % of the reference's",
            target="slmkit_metrics.units:UnitEditDistance",
            source="Gat et al. 2023 (augmentation-invariant units)",
        ),
    ]
