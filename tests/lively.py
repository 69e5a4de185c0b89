"""Networks of random weights that hear their codes: as they begin, decoders all but ignore them."""

from __future__ import annotations

from benchmarks.vocoder import audible as enliven
from slmkit.codecs.hifigan import UnitHifiGan

__all__ = ["enliven", "lively"]


def lively(generator: UnitHifiGan) -> UnitHifiGan:
    """The same generator, of such weights."""
    enliven(generator)
    generator.conv_post.weight.data /= 4
    return generator.eval()
