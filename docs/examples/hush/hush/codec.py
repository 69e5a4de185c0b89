"""The tokenizer `hush`. Letters: b (batch), n (sample), t (frame)."""

import torch
from torch import Tensor, nn

from hush.plugin import RATE, HushOptions
from slmkit.api import AudioError, Codes, CodeSpec, MisfitError, Tokenizer
from slmkit.codecs.waves import check_waves

HOP, LOWEST, OCTAVES, STEP_DB = 320, 80.0, 3.0, 4.0


class Hush(nn.Module, Tokenizer):
    """Two codebooks: a note, and how loud it is. Intonation stays; words and voices do not."""

    def __init__(self, options: HushOptions) -> None:
        super().__init__()
        self.spec = CodeSpec(RATE, HOP, (options.pitches, options.levels))
        octaves = OCTAVES * torch.arange(options.pitches) / options.pitches
        # a frame sees 1024 samples: three periods of the lowest note
        self.register_buffer("notes", LOWEST * 2**octaves, persistent=False)
        turns = torch.exp(-2j * torch.pi * self.notes[:, None] * torch.arange(1024) / RATE)
        self.register_buffer("probes", turns * torch.hann_window(1024), persistent=False)

    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        check_waves(wav, lengths)
        if int(lengths.min()) < HOP:
            raise AudioError(f"a sound has {HOP} samples at least, a frame")
        # each row alone: an answer never depends on the batch or its padding
        rows = zip(wav, lengths.tolist(), strict=True)
        return Codes.pad([self._row(row[:length]) for row, length in rows], self.spec)

    def _row(self, wav: Tensor) -> Tensor:
        """[n] -> codes [2, t]."""
        frames = nn.functional.pad(wav, (352, 1024)).unfold(0, 1024, HOP)[: len(wav) // HOP]
        heard = (frames.to(self.probes.dtype) @ self.probes.T).abs()
        decibels = 10 * frames.square().mean(dim=1).clamp(min=1e-8).log10()
        loud = ((decibels + STEP_DB * self.spec.codebook_sizes[1]) / STEP_DB).long()
        return torch.stack([heard.argmax(dim=1), loud.clamp(0, self.spec.codebook_sizes[1] - 1)])

    def decode(self, codes: Codes) -> tuple[Tensor, Tensor]:
        if codes.spec != self.spec:
            raise MisfitError(f"codes of another tokenizer: {self.spec.unlike(codes.spec)}")
        sizes = torch.tensor(self.spec.codebook_sizes, device=codes.values.device)
        if bool((codes.values >= sizes[:, None]).any()):
            raise MisfitError(f"codes are below {self.spec.codebook_sizes}")
        pitch, loud = codes.values.unbind(dim=1)
        decibels = (loud + 0.5 - self.spec.codebook_sizes[1]) * STEP_DB
        # the phase goes on from frame to frame, so that notes join without a click
        phase = (self.notes[pitch].double() * HOP / RATE).cumsum(dim=1)[..., None]
        within = torch.arange(HOP, device=phase.device) / HOP - 1
        cycles = phase + within * (self.notes[pitch] * HOP / RATE)[..., None]
        wave = torch.sin(2 * torch.pi * cycles) * 2**0.5 * (10 ** (decibels / 20))[..., None]
        real = torch.arange(pitch.shape[1], device=phase.device) < codes.lengths[:, None]
        wav = (wave.clamp(-1, 1) * real[..., None]).flatten(1).float()
        return wav, codes.lengths * HOP
