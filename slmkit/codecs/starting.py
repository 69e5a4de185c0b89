"""Weights of a new codec scaled by what they make of sound, so that it learns from the first step.

Through the two dozen layers of a SEANet that starts as torch draws it, next to nothing of a sound
comes out but biases, and hundreds of steps go by before any of it is heard. Layer-sequential unit
variance (Mishkin and Matas 2016) divides each convolution's weights by the deviation of its output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from slmkit.codecs.convolution import Convolution, Upsampling

if TYPE_CHECKING:
    from slmkit.codecs.codec import SeanetCodec

SMALLEST = 1e-6
"""A deviation below is that of silence, which says nothing of a layer."""


Laid = dict[Convolution | Upsampling, int]
"""How many of a layer's first outputs have their weights already."""


@torch.no_grad()  # type: ignore[untyped-decorator]
def scale_layers(
    codec: SeanetCodec, wav: Tensor, laid: Laid | None = None, deviation: float = 1.0
) -> None:
    """Let each convolution give signals of this `deviation` on waves [b, c, n], the decoder's last
    one theirs and the encoder's latents that deviate by 1. What is `laid` stays as it is."""
    loudness = float(wav.std())
    wanted = {codec.decoder.last: loudness, codec.encoder.last: 1.0}
    laid = laid or {}

    def scale(layer: Convolution | Upsampling, given: tuple[Tensor, ...], made: Tensor) -> Tensor:
        first, weight = laid.get(layer, 0), layer.conv.weight
        if first == layer.conv.out_channels:
            return made
        layer.conv.bias[first:] = 0.0
        found = float(layer.forward(*given)[:, first:].std())
        if found > SMALLEST:
            free = weight[:, first:] if isinstance(layer, Upsampling) else weight[first:]
            free.mul_(wanted.get(layer, deviation) / found)
        changed: Tensor = layer.forward(*given)
        return changed

    if loudness <= SMALLEST:
        return
    layers = [part for part in codec.modules() if isinstance(part, Convolution | Upsampling)]
    hooks = [layer.register_forward_hook(scale) for layer in layers]
    codec.decoder(codec.encoder(wav))
    for hook in hooks:
        hook.remove()
