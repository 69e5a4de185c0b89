"""A generator of random weights that hears its units."""

from __future__ import annotations

import torch
from torch import nn

from slmkit.codecs.hifigan import UnitHifiGan


def lively(generator: UnitHifiGan) -> UnitHifiGan:
    """With weights under which a unit is heard: as it begins, a generator all but ignores them."""
    torch.manual_seed(0)
    for part in generator.modules():
        if isinstance(part, nn.Conv1d | nn.ConvTranspose1d):
            reach = part.kernel_size[0]
            if isinstance(part, nn.ConvTranspose1d):
                reach = max(1, reach // part.stride[0])
            nn.init.normal_(part.weight, 0, (part.in_channels * reach) ** -0.5)
    generator.conv_post.weight.data /= 4
    return generator.eval()
