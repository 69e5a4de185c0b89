"""The backbone `valle`.

Letters: b (batch), l (step), d (width), h (head), w (width of a head), r (step in the cache).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from slmkit.api import Backbone, State
from slmkit.codecs import cache
from slmkit.codecs import prefix as prefixes
from slmkit.codecs.joined import joined
from slmkit_valle.attention import Packed, Whole, bias_of
from slmkit_valle.plugin import ValleOptions

Mix = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries, keys and values [b, h, l, w] to each step's mixture of values."""

SCALE = 0.02
"""What positions begin with as their scale: that of the embeddings beside them, which `SpeechLM`
draws so. The published code begins with 1 for both."""


class Valle(nn.Module, Backbone):
    """The autoregressive transformer of VALL-E (Wang et al. 2023) and USLM, without embeddings.

    Text and what follows it are numbered apart, each from 0, by sinusoids whose scale is learnt;
    text sees text both ways and nothing else, what follows sees the text and its own past. Without
    a prefix it is an ordinary causal transformer.
    """

    reads_prefix = True

    def __init__(self, options: ValleOptions) -> None:
        super().__init__()
        self.width, self.heads = options.width, options.heads
        self.text_stride = options.text_stride
        hidden = options.hidden or 4 * options.width
        self.layers = nn.ModuleList(
            Layer(options.width, options.heads, hidden, options.dropout)
            for _ in range(options.layers)
        )
        self.norm = nn.LayerNorm(options.width)
        self.text_alpha = nn.Parameter(torch.full((1,), SCALE))
        self.audio_alpha = nn.Parameter(torch.full((1,), SCALE))
        self.dropout = nn.Dropout(options.dropout)
        self.rates: Tensor
        falling = torch.arange(0, self.width, 2) * (-math.log(10000.0) / self.width)
        self.register_buffer("rates", falling.exp(), persistent=False)
        self.checkpointed = False
        self._joined: list[Callable[[Tensor], Tensor]] = []
        self._initialize()

    def _initialize(self) -> None:
        """As GPT-2 (Radford et al. 2019): what is added to the stream shrinks with the depth."""
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                added = name.endswith(("outward.weight", "down.weight"))
                deeper = math.sqrt(2 * len(self.layers)) if added else 1.0
                nn.init.normal_(parameter, std=0.02 / deeper)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(
        self, embedded: Tensor, positions: Tensor | None = None, prefix: Tensor | None = None
    ) -> Tensor:
        """[b, l, d] -> [b, l, d]; padding belongs at the end, and is no prefix.

        `positions` int64 [b, l] of examples that lie end to end: none sees another. `prefix` bool
        [b, l] are the steps of each example's text.
        """
        batch, steps = embedded.shape[:2]
        if prefix is None:
            prefix = torch.zeros(batch, steps, dtype=torch.bool, device=embedded.device)
        numbers = torch.arange(steps, device=embedded.device).expand(batch, steps)
        mix: Mix
        if positions is None:
            mix = Whole.of(prefix, embedded.dtype)
        elif torch.compiler.is_compiling():
            # groups differ from batch to batch, for which compiled code would be made anew
            mix = Whole.apart(prefix, positions, embedded.dtype)
        else:
            mix = Packed.of(prefix, positions, embedded.dtype)
        positions = numbers if positions is None else positions
        x = self._placed(embedded, positions, prefixes.lengths_of(prefix, positions))
        for layer in self.layers:
            if self.checkpointed and torch.is_grad_enabled():
                x = checkpoint(layer, x, mix, use_reentrant=False)
            else:
                x = layer(x, mix)
        hidden: Tensor = self.norm(x)
        return hidden

    def _placed(self, embedded: Tensor, positions: Tensor, lengths: Tensor) -> Tensor:
        """Steps [b, l, d] with their places, behind prefixes of `lengths` [b, l] or [b, 1]."""
        places = prefixes.places(positions, lengths, self.text_stride)
        angles = places[..., None] * self.rates
        waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)
        scale = torch.where(positions < lengths, self.text_alpha, self.audio_alpha)[..., None]
        placed: Tensor = self.dropout(embedded + (scale * waves).to(embedded.dtype))
        return placed

    def checkpoint_layers(self) -> None:
        """From now on compute the layers again in the backward pass (Chen et al. 2016)."""
        self.checkpointed = True

    def empty_state(self, batch: int, steps: int) -> State:
        """A cache (see `slmkit.codecs.cache`) for `steps` steps of each row, and in `prefix` int64
        [b] how many of them are a row's prefix."""
        self._join()
        held = cache.empty(
            batch,
            steps,
            layers=len(self.layers),
            heads=self.heads,
            width=self.width // self.heads,
            like=self.norm.weight,
        )
        return {**held, "prefix": torch.zeros_like(held["position"])}

    def _join(self) -> None:
        self._joined = [layer.attention.joined() for layer in self.layers]  # type: ignore[operator,union-attr]

    @torch.no_grad()
    def step(
        self,
        embedded: Tensor,
        state: State,
        lengths: Tensor | None = None,
        prefix: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Go on from a state by `embedded` [b, l, d] of which `lengths` [b] steps are real.

        `prefix` bool [b, l] is a row's text, and comes whole with the row's first steps: raises
        MisfitError where it comes later. No gradient flows, dropout is off, and the state that is
        passed in is spent; keep a `cache.clone` to go on from it twice. Raises IndexError where a
        row would go beyond the state's steps.
        """
        at = cache.chunk(state, embedded.shape[1], lengths)
        if prefix is not None:
            state = prefixes.remember(state, at, prefix)
        behind = state["prefix"][:, None]
        x = self._placed(embedded, at.positions, behind)
        mask = _mask(at, behind, x.dtype)
        if not self._joined:
            # a copy of a model was never asked for a state
            self._join()
        for index, (layer, project) in enumerate(zip(self.layers, self._joined, strict=True)):
            x = layer(x, _remembering(state, index, at, mask), project)
        return self.norm(x), cache.advance(state, at)

    def __getstate__(self) -> dict[str, Any]:
        # a copy of the model steps with its own weights
        return {**self.__dict__, "_joined": []}


class Layer(nn.Module):
    """Attention and a feed-forward network, each behind a layer norm and added to what came in."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, mix: Mix, project: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """[b, l, d] -> [b, l, d]."""
        x = x + self.dropout(self.attention(self.before_attention(x), mix, project))
        inner = self.dropout(relu(self.up(self.before_mlp(x))))
        return x + self.dropout(self.down(inner))


class Attention(nn.Module):
    """Self-attention; what sees what is the business of `mix`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.outward = (nn.Linear(width, width) for _ in range(4))

    def joined(self) -> Callable[[Tensor], Tensor]:
        """Queries, keys and values as one product, for generation."""
        return joined([self.query, self.key, self.value])

    def forward(
        self, x: Tensor, mix: Mix, project: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """[b, l, d] -> [b, l, d]; `project` gives queries, keys and values side by side."""
        if project is None:
            parts = (self.query(x), self.key(x), self.value(x))
        else:
            parts = project(x).chunk(3, dim=-1)
        mixed = mix(*(part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts))
        added: Tensor = self.outward(mixed.transpose(1, 2).flatten(2))
        return added


def _mask(at: cache.Chunk, behind: Tensor, dtype: torch.dtype) -> Tensor | None:
    """What is added to the scores [b, 1, l, r] where prefixes are `behind` [b, 1] steps long; none
    where every step sees all."""
    if at.level and at.positions.shape[1] == 1:
        return None
    columns = torch.arange(at.reach, device=behind.device)
    both = (at.positions < behind)[:, :, None] & (columns < behind)[:, None]
    return bias_of(at.seen | both[:, None], dtype)


def _remembering(state: State, layer: int, at: cache.Chunk, mask: Tensor | None) -> Mix:
    """Attention of a layer to all that it remembers."""

    def mix(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        keys, values = cache.append(state, layer, keys, values, at)
        return scaled_dot_product_attention(queries.to(keys.dtype), keys, values, attn_mask=mask)

    return mix
