"""The vocoder `unit-hifigan`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from slmkit.api import Codes, CodeSpec, MisfitError, OptionsError, State, Vocoder
from slmkit.codecs import hifigan_stream
from slmkit.codecs.hifigan import HifiGanSizes, UnitHifiGan
from slmkit_hifigan import lasting
from slmkit_hifigan.fairseq import (
    CHECKPOINT,
    CONFIG,
    SPEAKERS,
    config_of_sizes,
    load_generator,
    save_generator,
    sizes_of_config,
    speakers_of_config,
)
from slmkit_hifigan.plugin import UnitHifiGanOptions
from slmkit_hifigan.voices import Voices


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
        self.voices = Voices(() if options.config is None else speakers_of_config(options.config))
        if options.weights is not None:
            load_generator(self.generator, Path(options.weights))

    @torch.inference_mode()
    def synthesize(self, codes: Codes, speaker: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Waves as the contract says; without `speaker` in its own `voice`, where it has one.

        Leaves the network in evaluation mode. Raises MisfitError where a voice is due or is not.
        """
        speaker = self._speaking(speaker, len(codes))
        self.eval()
        codes = codes.to(self.generator.dict.weight.device)
        if codes.spec.deduplicated:
            codes = self.lasting(codes).expand()
        wav = self.generator(codes.values[:, 0], speaker, codes.lengths)
        return wav, codes.lengths * self.spec.hop_length

    @property
    def voice_encoder(self) -> Mapping[str, Any] | None:  # type: ignore[override]
        return self.voices.encoder

    def voice(self, asked: str) -> Tensor:
        sizes = self.generator.sizes
        if not sizes.speaks_in_voices:
            return super().voice(asked)
        return self.voices.find(asked, sizes.num_speakers)

    def keep_voices(
        self,
        names: Sequence[str],
        embeddings: Tensor | None = None,
        encoder: Mapping[str, Any] | None = None,
    ) -> None:
        sizes = self.generator.sizes
        if not sizes.speaks_in_voices:
            super().keep_voices(names, embeddings, encoder)
        width = 0 if embeddings is None else embeddings.shape[1]
        if width != sizes.embedder_dim:
            raise MisfitError(
                f"unit-hifigan: voices are embeddings of {sizes.embedder_dim or 'no'} numbers, the "
                f"speaker encoder gives {width or 'none'}: set speaker_width"
            )
        if not width and len(names) > sizes.num_speakers:
            raise MisfitError(
                f"unit-hifigan: a table of {sizes.num_speakers} voices is too small for "
                f"{len(names)} speakers: set speakers={len(names)} or more"
            )
        self.voices = Voices(tuple(names), embeddings, encoder)

    @torch.inference_mode()
    def empty_state(self, batch: int, speaker: Tensor | None = None) -> State:
        self.eval()
        speaker = self._speaking(speaker, batch)
        network = hifigan_stream.empty_state(self.generator, batch, speaker)
        return {"network": network, "lasting": lasting.empty_state()}

    @torch.inference_mode()
    def step(self, codes: Codes, state: State) -> tuple[Tensor, State]:
        """As the contract says; merged units without durations are spoken once the two that follow
        them are there."""
        self.eval()
        units, waiting = codes.values[:, 0], state["lasting"]
        units = units.to(self.generator.dict.weight.device)
        if codes.spec.deduplicated:
            lasting.one_row(codes)
            if codes.durations is None:
                units, waiting = lasting.step(self.generator, units, waiting)
            else:
                units = codes.expand().values[:, 0].to(units.device)
        wav, network = hifigan_stream.step(self.generator, units, state["network"])
        return wav, {"network": network, "lasting": waiting}

    @torch.inference_mode()
    def finish(self, state: State) -> Tensor:
        network, waiting = state["network"], state["lasting"]
        none = torch.zeros(1, 0, dtype=torch.int64)
        left, _ = lasting.step(self.generator, none, waiting, last=True)
        left = left.to(network["first"].device).expand(len(network["first"]), -1)
        return hifigan_stream.step(self.generator, left, network, last=True)[0]

    def _speaking(self, speaker: Tensor | None, batch: int) -> Tensor | None:
        """The voices of `batch` rows: those given, or its own. Raises MisfitError."""
        takes = self.generator.sizes.speaks_in_voices
        if speaker is None and takes and self.options.voice:
            own = self.voice(self.options.voice)
            speaker = own.expand(batch, *own.shape)
        if takes != (speaker is not None):
            wants = (
                "a speaker, or a `voice` of its own among its options"
                if speaker is None
                else "no speaker: it has one voice"
            )
            raise MisfitError(f"unit-hifigan: this vocoder is to be given {wants}")
        return None if speaker is None else speaker.to(self.generator.dict.weight.device)

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
        if self.voices.names:
            config[SPEAKERS] = list(self.voices.names)
        (folder / CONFIG).write_text(json.dumps(config, indent=1) + "\n")
        save_generator(self.generator, folder / CHECKPOINT)

    def save(self, folder: Path) -> None:
        """Weights, and the names of its voices."""
        super().save(folder)
        self.voices.save(folder)

    def restore(self, folder: Path) -> None:
        super().restore(folder)
        self.voices = Voices.restore(folder)


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
