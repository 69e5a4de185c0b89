"""The head `depth`.

Letters: b (batch), n (position), s (stream), l (step), w (width of this head), h (attention head).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slmkit.api import Head
from slmkit.codecs.norm import RMSNorm
from slmkit.lm.layouts import NOTHING
from slmkit_decoding.plugin import DepthOptions


class Depth(nn.Module, Head):
    """A small transformer over the streams of a step: RQ-Transformer (Lee et al. 2022).

    Stream s reads the backbone's hidden state and the tokens of the streams before it; steps know
    of each other through the backbone alone. In training all streams go through at once.
    """

    def __init__(self, options: DepthOptions, width: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        inner, self.heads, streams = options.width, options.heads, len(sizes)
        copies = 1 if options.shared else streams
        self.inward = PerStream(width, inner, copies)
        # what stream s has said is read by the ones after it: the last one's is not
        self.embedding = nn.ModuleList(nn.Embedding(size, inner) for size in sizes[:-1])
        self.place = nn.Parameter(torch.randn(streams, inner) * 0.02)
        self.layers = nn.ModuleList(
            Layer(inner, options.heads, copies) for _ in range(options.layers)
        )
        self.norm = RMSNorm(inner)
        self.projections = nn.ModuleList(nn.Linear(inner, size, bias=False) for size in sizes)
        for module in [*self.embedding, *self.projections]:
            nn.init.normal_(module.weight, std=0.02)

    def logits(self, hidden: Tensor, tokens: Tensor) -> list[Tensor]:
        batch, steps = hidden.shape[:2]
        rows = self._run(hidden.flatten(0, 1), tokens.transpose(1, 2).flatten(0, 1))
        return [
            project(rows[:, stream]).view(batch, steps, -1)
            for stream, project in enumerate(self.projections)
        ]

    def _run(self, hidden: Tensor, tokens: Tensor) -> Tensor:
        """Hidden [n, d] and tokens [n, s] to what stands before each projection [n, s, w]."""
        streams = len(self.projections)
        said = [_embed(table, tokens[:, stream]) for stream, table in enumerate(self.embedding)]
        first = torch.zeros_like(said[0]) if said else hidden.new_zeros(1)
        read = torch.stack([first, *said], dim=1) if said else first
        x = self.inward(hidden[:, None].expand(-1, streams, -1)) + read + self.place
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)

    def sample(self, hidden: Tensor, pick: Callable[[Tensor, int], Tensor]) -> Tensor:
        picked: list[Tensor] = []
        streams, width = self.place.shape
        held = hidden.new_empty(
            len(self.layers), 2, len(hidden), self.heads, streams, width // self.heads
        )
        for stream, project in enumerate(self.projections):
            x = self.inward.one(hidden, stream) + self.place[stream]
            if stream:
                x = x + _embed(self.embedding[stream - 1], picked[-1])
            for layer, own in zip(self.layers, held, strict=True):
                x = layer.one(x, stream, own)
            picked.append(pick(project(self.norm(x)), stream))
        return torch.stack(picked, dim=1)

    def rows(self, stream: int) -> Tensor:
        """The weights [v, w] of a stream, a row for each token."""
        weight: Tensor = self.projections[stream].weight
        return weight


class PerStream(nn.Module):
    """A linear map without bias, one for all streams or one for each."""

    def __init__(self, inner: int, outer: int, copies: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(copies, outer, inner) * inner**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """[n, s, i] -> [n, s, o]."""
        if len(self.weight) == 1:
            return F.linear(x, self.weight[0])
        return torch.einsum("nsi,soi->nso", x, self.weight)

    def one(self, x: Tensor, stream: int) -> Tensor:
        """[n, i] -> [n, o], of one stream."""
        return F.linear(x, self.weight[stream if len(self.weight) > 1 else 0])


class Layer(nn.Module):
    """Causal attention over the streams, and SwiGLU."""

    def __init__(self, width: int, heads: int, copies: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = RMSNorm(width), RMSNorm(width)
        self.qkv = PerStream(width, 3 * width, copies)
        self.outward = PerStream(width, width, copies)
        self.up = PerStream(width, 4 * width, copies)
        self.down = PerStream(2 * width, width, copies)

    def forward(self, x: Tensor) -> Tensor:
        """[n, s, w] -> [n, s, w]."""
        n, s, w = x.shape
        q, k, v = self._split(self.qkv(self.before_attention(x)))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.outward(mixed.transpose(1, 2).reshape(n, s, w))
        gate, up = self.up(self.before_mlp(x)).chunk(2, dim=-1)
        mlp: Tensor = self.down(F.silu(gate) * up)
        return x + mlp

    def one(self, x: Tensor, stream: int, held: Tensor) -> Tensor:
        """[n, w] -> [n, w] of the next stream; `held` [2, n, h, s, w / h] are the keys and values
        of those before, and takes this one's."""
        qkv = self.qkv.one(self.before_attention(x), stream)
        queries, keys_values = qkv.view(len(x), 3, self.heads, -1).split((1, 2), dim=1)
        held[:, :, :, stream] = keys_values.transpose(0, 1)
        keys, values = held[:, :, :, : stream + 1].unbind()
        mixed = F.scaled_dot_product_attention(queries.transpose(1, 2), keys, values)
        x = x + self.outward.one(mixed.flatten(1), stream)
        gate, up = self.up.one(self.before_mlp(x), stream).chunk(2, dim=-1)
        return self.down.one(F.silu(gate).mul_(up), stream).add_(x)

    def _split(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[n, s, 3w] to queries, keys, values [n, h, s, w / h]."""
        n, s, _ = qkv.shape
        q, k, v = qkv.view(n, s, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return q, k, v


def _embed(table: nn.Module, tokens: Tensor) -> Tensor:
    """Rows [n, w] of a table for tokens [n]; zeros where there is nothing."""
    rows: Tensor = table.weight  # type: ignore[assignment]
    there = (tokens != NOTHING)[:, None]
    if not len(rows):
        return rows.new_zeros(len(tokens), rows.shape[1])
    return F.embedding(tokens.clamp(min=0), rows) * there
