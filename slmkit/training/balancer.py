"""The loss balancer of EnCodec (Defossez et al. 2022, section 3.4).

A loss's weight is then a share of the gradient that reaches the decoder's output, whatever the
loss's own scale. Letters: b (batch), n (sample).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

SMALLEST = 1e-12


class Balancer(nn.Module):
    """Scales each loss's gradient to its share of `norm`, by a moving average of its norm.

    The averages are buffers, so that a training that goes on balances as before the break.
    """

    def __init__(
        self, shares: Mapping[str, float], decay: float = 0.999, norm: float = 1.0
    ) -> None:
        super().__init__()
        self.names, self.decay, self.norm = tuple(shares), decay, norm
        whole = sum(shares.values()) or 1.0
        self.shares = {name: share / whole for name, share in shares.items()}
        self.sums: Tensor
        self.counts: Tensor
        self.register_buffer("sums", torch.zeros(len(self.names)))
        self.register_buffer("counts", torch.zeros(len(self.names)))

    def forward(self, gradients: Mapping[str, Tensor]) -> Tensor:
        """The balanced sum of gradients [b, n]; those of this step alone share the whole norm out
        among them. Norms are of a row, averaged over the rows.
        """
        present = [name for name in self.names if name in gradients]
        whole = sum(self.shares[name] for name in present) or 1.0
        total = torch.zeros_like(gradients[present[0]])
        for name in present:
            at, gradient = self.names.index(name), gradients[name]
            rows = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
            self.sums[at] = self.sums[at] * self.decay + rows.mean()
            self.counts[at] = self.counts[at] * self.decay + 1
            average = (self.sums[at] / self.counts[at]).clamp(min=SMALLEST)
            total = total + self.norm * self.shares[name] / whole / average * gradient
        return total
