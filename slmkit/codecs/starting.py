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


@torch.no_grad()  # type: ignore[untyped-decorator]
def scale_layers(codec: SeanetCodec, wav: Tensor) -> None:
    """Let each convolution give unit variance on waves [b, c, n], the decoder's last one theirs."""
    loudness = float(wav.std())
    wanted = {codec.decoder.last: loudness}

    def scale(layer: Convolution | Upsampling, given: tuple[Tensor, ...], made: Tensor) -> Tensor:
        layer.conv.bias.zero_()
        deviation = float(layer.forward(*given).std())
        if deviation > SMALLEST:
            layer.conv.weight.mul_(wanted.get(layer, 1.0) / deviation)
        changed: Tensor = layer.forward(*given)
        return changed

    if loudness <= SMALLEST:
        return
    layers = [part for part in codec.modules() if isinstance(part, Convolution | Upsampling)]
    hooks = [layer.register_forward_hook(scale) for layer in layers]
    codec.decoder(codec.encoder(wav))
    for hook in hooks:
        hook.remove()
