"""Networks of random weights that hear their codes: as they begin, decoders all but ignore them."""

from __future__ import annotations

import torch
from torch import nn

from slmkit.codecs.hifigan import UnitHifiGan


def enliven(network: nn.Module) -> None:
    """Weights of convolutions through which a signal goes as loud as it came."""
    torch.manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.Conv1d | nn.ConvTranspose1d):
            reach = part.kernel_size[0]
            if isinstance(part, nn.ConvTranspose1d):
                reach = max(1, reach // part.stride[0])
            nn.init.normal_(part.weight, 0, (part.in_channels * reach) ** -0.5)


def lively(generator: UnitHifiGan) -> UnitHifiGan:
    """The same generator, of such weights."""
    enliven(generator)
    generator.conv_post.weight.data /= 4
    return generator.eval()
