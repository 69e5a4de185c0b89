"""The tokenizers of `toy_faulty`."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from toy_stairs import Stairs

from slmkit.api import Codes


class Faulty(Stairs):
    """Decodes to NaN, to nothing, or not at all; or gives twice as many frames as it declares."""

    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        codes = super().encode(wav, lengths)
        if self.options.how != "long":
            return codes
        values = codes.values.repeat_interleave(2, dim=2)
        return replace(codes, values=values, lengths=2 * codes.lengths)

    def decode(self, codes: Codes) -> tuple[Tensor, Tensor]:
        wav, lengths = super().decode(codes)
        if self.options.how == "raise":
            raise RuntimeError("out of ideas\nand of lines")
        if self.options.how == "silent":
            return wav[:, :0], lengths * 0
        return wav * torch.nan, lengths
