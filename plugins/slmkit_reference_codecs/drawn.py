"""Random weights under which the reference codecs' codes vary.

As they are built, latents hardly move and all codes are one or a few: what agrees with those agrees
with anything. Letters: c (channel), t (frame), d (width), n (sample).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

GAIN = 2.0
"""Of weight-normed convolutions: latents then stray from their mean by a third of its norm."""

APART = 0.3
"""Of the residuals' deviation: entries are moved by so much at random. Silences leave residuals so
much alike that entries between them would be one, and rounding would choose among them."""

SHORTEST = 10
"""Frames; a shorter last segment of a codec by segments is unlike the rest."""


@torch.no_grad()
def draw_codebooks(model: Any, wavs: Sequence[Tensor], seed: int = 0) -> None:
    """Raise the gains of a new model of either package, centre its latents on zero, and draw its
    codebooks, in place.

    Each entry is about halfway between two residuals of these waves [c, n], so that codes vary on
    other sounds too, at every codebook. All else stays as it was built.
    """
    for name, parameter in model.named_parameters():
        if name.endswith("weight_g"):
            parameter.mul_(GAIN)
    caught: list[Tensor] = []
    hook = model.encoder.register_forward_hook(lambda _, __, latents: caught.append(latents))
    for wav in wavs:
        model.encode(wav[None])
    hook.remove()
    residual = torch.cat([z[0].T for z in caught if z.shape[-1] >= SHORTEST])
    # far from zero, the packages' sums of squares would round away what sets two entries apart
    centre = residual.mean(dim=0)
    last = model.encoder.model[-1].conv
    (last.conv.bias if isinstance(last.norm, nn.Identity) else last.norm.bias).sub_(centre)
    residual = residual - centre
    generator = torch.Generator().manual_seed(seed)
    for layer in model.quantizer.vq.layers:
        book = layer._codebook
        pairs = torch.randint(len(residual), (2, len(book.embed)), generator=generator)
        noise = torch.randn(book.embed.shape, generator=generator)
        book.embed.copy_(residual[pairs].mean(dim=0) + APART * residual.std(dim=0) * noise)
        book.embed_avg.copy_(book.embed)
        book.cluster_size.fill_(1)
        book.inited.fill_(1)
        residual = residual - book.embed[torch.cdist(residual, book.embed).argmin(dim=1)]
