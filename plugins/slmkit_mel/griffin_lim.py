"""The vocoder `griffin-lim`: each unit's mean mel spectrum, made audible. A baseline to beat.

Letters: k (unit), t (frame), m (mel band).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn

from slmkit.api import Codes, CodeSpec, DataError, MisfitError, Vocoder
from slmkit.codecs.griffin_lim import wave_of_log_mel
from slmkit.codecs.mel import LogMel
from slmkit_mel.plugin import GriffinLimOptions

STEP = 160
"""Samples between the spectra of one frame: a frame of 640 has four."""


class GriffinLim(nn.Module, Vocoder):
    """Remembers the mean log-mel of every unit, at each place within its frame, and how many
    frames a merged unit lasts on average."""

    def __init__(self, options: GriffinLimOptions, spec: CodeSpec) -> None:
        super().__init__()
        if spec.hop_length % STEP:
            raise MisfitError(
                f"griffin-lim needs frames of a multiple of {STEP} samples, not {spec.hop_length}"
            )
        self.options, self.spec = options, spec
        self.sample_rate = spec.sample_rate
        self.places = spec.hop_length // STEP
        self.mel = LogMel(spec.sample_rate, options.window, STEP, options.mels)
        units = spec.codebook_sizes[0]
        self.mean: Tensor
        self.duration: Tensor
        self.register_buffer("mean", torch.full((units, self.places, options.mels), torch.nan))
        self.register_buffer("duration", torch.ones(units))

    def fit(self, batches: Iterable[tuple[Codes, Tensor, Tensor]]) -> None:
        """Means over a stream of (codes, wav, lengths); units never seen get the mean of all."""
        total = torch.zeros_like(self.mean, dtype=torch.float64)
        count = torch.zeros(len(total), dtype=torch.float64)
        merged, frames = torch.zeros_like(count), torch.zeros_like(count)
        for codes, wav, lengths in batches:
            if codes.durations is not None:
                for row in range(len(codes)):
                    one = codes.row(row)
                    units, lasting = one.values[0, 0], one.durations
                    merged.index_add_(0, units, torch.ones(len(units), dtype=torch.float64))
                    frames.index_add_(0, units, lasting[0].double())
            whole = codes.expand()
            mel = self.mel(wav, lengths)
            for row, length in enumerate(whole.lengths.tolist()):
                spectra = mel[row, : length * self.places]
                short = length * self.places - len(spectra)
                spectra = torch.cat([spectra, spectra[-1:].expand(short, -1)]).double()
                units = whole.values[row, 0, :length]
                total.index_add_(0, units, spectra.unflatten(0, (length, self.places)))
                count.index_add_(0, units, torch.ones(length, dtype=torch.float64))
        if not count.any():
            raise DataError("there is nothing to fit griffin-lim on")
        overall = total.sum(dim=0) / count.sum()
        mean = torch.where(count[:, None, None] > 0, total / count[:, None, None], overall)
        self.mean.copy_(mean)
        self.duration.copy_(torch.where(merged > 0, frames / merged.clamp(min=1), 1.0))

    @torch.inference_mode()
    def synthesize(self, codes: Codes, speaker: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if torch.isnan(self.mean).any():
            raise DataError("the vocoder 'griffin-lim' has not been fitted: run `fit-vocoder`")
        if codes.spec.deduplicated:
            if codes.durations is None:
                lasting = self.duration[codes.values[:, 0]].round().long().clamp(min=1)
                real = torch.arange(lasting.shape[1]) < codes.lengths[:, None]
                codes = replace(codes, durations=lasting * real)
            codes = codes.expand()
        waves = [self._speak(codes.row(row).values[0, 0]) for row in range(len(codes))]
        wav = nn.utils.rnn.pad_sequence(waves, batch_first=True)
        return wav, codes.lengths * self.spec.hop_length

    def _speak(self, units: Tensor) -> Tensor:
        """The wave [n] of one utterance's frames [t], alone, so that no batch can change it."""
        log_mel = smooth(self.mean[units].flatten(0, 1))
        return wave_of_log_mel(log_mel, self.mel, self.options.rounds)


def smooth(spectra: Tensor) -> Tensor:
    """Spectra [t, m] averaged with their neighbours, 1-2-1: units change without a click."""
    before = torch.cat([spectra[:1], spectra[:-1]])
    after = torch.cat([spectra[1:], spectra[-1:]])
    return (before + 2 * spectra + after) / 4
