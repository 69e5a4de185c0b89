"""The vocoder `unit-hifigan`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from slmkit.api import Codes, CodeSpec, MisfitError, OptionsError, Vocoder
from slmkit.codecs.hifigan import HifiGanSizes, UnitHifiGan
from slmkit_hifigan.fairseq import (
    CHECKPOINT,
    CONFIG,
    config_of_sizes,
    load_generator,
    save_generator,
    sizes_of_config,
)
from slmkit_hifigan.plugin import UnitHifiGanOptions


class UnitHifiGanVocoder(nn.Module, Vocoder):
    """Speaks units; merged ones last as long as they did, or as long as it predicts."""

    def __init__(self, options: UnitHifiGanOptions, spec: CodeSpec) -> None:
        super().__init__()
        if options.config is not None:
            sizes = sizes_of_config(options.config)
        else:
            sizes = sizes_of(options, spec)
            if faults := sizes.faults():
                raise OptionsError([f"unit-hifigan: {fault}" for fault in faults])
        if sizes.num_embeddings < spec.codebook_sizes[0]:
            raise MisfitError(
                f"unit-hifigan: a vocoder of {sizes.num_embeddings} units cannot speak a "
                f"tokenizer's {spec.codebook_sizes[0]}"
            )
        if sizes.hop_length != spec.hop_length:
            raise MisfitError(
                f"unit-hifigan: upsample_rates {list(sizes.upsample_rates)} make "
                f"{sizes.hop_length} samples of a frame, the tokenizer's frames have "
                f"{spec.hop_length}"
            )
        self.options, self.spec = options, spec
        self.sample_rate = spec.sample_rate
        self.generator = UnitHifiGan(sizes)
        if options.weights is not None:
            load_generator(self.generator, Path(options.weights))

    @torch.inference_mode()
    def synthesize(self, codes: Codes, speaker: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Waves as the contract says; `speaker` is a voice's number [b] where it has a table.

        Leaves the network in evaluation mode. Raises MisfitError where a voice is due or is not.
        """
        if self.generator.sizes.speaks_in_voices != (speaker is not None):
            wants = "a speaker" if speaker is None else "no speaker: it has one voice"
            raise MisfitError(f"unit-hifigan: this vocoder is to be given {wants}")
        self.eval()
        codes = codes.to(self.generator.dict.weight.device)
        if codes.spec.deduplicated:
            codes = self.lasting(codes).expand()
        wav = self.generator(codes.values[:, 0], speaker, codes.lengths)
        return wav, codes.lengths * self.spec.hop_length

    def lasting(self, codes: Codes) -> Codes:
        """Units with durations: their own, or else predicted."""
        if codes.durations is not None:
            return codes
        units = codes.values[:, 0]
        real = torch.arange(units.shape[1], device=units.device) < codes.lengths[:, None]
        predictor = self.generator.dur_predictor
        predicted = predictor(self.generator.dict(units), real[:, None].float())
        return replace(codes, durations=predictor.frames(predicted) * real)

    def save_fairseq(self, folder: Path) -> None:
        """Write config.json and a checkpoint as fairseq does, for it or the options
        `config` and `weights` to read."""
        folder.mkdir(parents=True, exist_ok=True)
        config = config_of_sizes(self.generator.sizes, self.sample_rate)
        (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")
        save_generator(self.generator, folder / CHECKPOINT)


def sizes_of(options: UnitHifiGanOptions, spec: CodeSpec) -> HifiGanSizes:
    """The network's shape for a tokenizer's units."""
    dilations = tuple(tuple(options.resblock_dilations) for _ in options.resblock_kernel_sizes)
    return HifiGanSizes(
        num_embeddings=spec.codebook_sizes[0],
        embedding_dim=options.embedding_dim,
        upsample_rates=tuple(options.upsample_rates),
        upsample_kernel_sizes=tuple(options.upsample_kernel_sizes),
        upsample_initial_channel=options.upsample_initial_channel,
        resblock_kernel_sizes=tuple(options.resblock_kernel_sizes),
        resblock_dilation_sizes=dilations,
        num_speakers=options.speakers,
        embedder_dim=options.speaker_width,
        duration_dropout=options.duration_dropout,
    )
