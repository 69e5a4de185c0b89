"""The backbone `llama`. Submodules are named as Hugging Face names them, so that its weights load
as they are and peft finds `q_proj`, `k_proj`, `v_proj`, `o_proj`.

Letters: b (batch), l (step), d (width), h (head), w (width of a head), r (step in the cache).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu
from torch.utils.checkpoint import checkpoint

from slmkit.api import Backbone, State
from slmkit.codecs import cache
from slmkit.codecs import prefix as prefixes
from slmkit.codecs.attention import causal_attention
from slmkit.codecs.norm import RMSNorm
from slmkit.codecs.packed_attention import (
    Groups,
    grouped_attention,
    masked_attention,
    own_example,
)
from slmkit_llama import weights
from slmkit_llama.architecture import Architecture, of_config, of_options
from slmkit_llama.plugin import LlamaOptions
from slmkit_llama.rope import Rotate, angles, frequencies
from slmkit_llama.stepping import Stepper, Turn


class Attention(nn.Module):
    """Self-attention of grouped queries (Ainslie et al. 2023)."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.heads, self.kv_heads = shape.heads, shape.kv_heads
        self.head_width = shape.head_width
        inner, kv_inner = shape.heads * shape.head_width, shape.kv_heads * shape.head_width
        self.q_proj = nn.Linear(shape.width, inner, bias=shape.qkv_bias)
        self.k_proj = nn.Linear(shape.width, kv_inner, bias=shape.qkv_bias)
        self.v_proj = nn.Linear(shape.width, kv_inner, bias=shape.qkv_bias)
        self.o_proj = nn.Linear(inner, shape.width, bias=shape.output_bias)

    def project(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Turned queries [b, h, l, w], turned keys and values [b, kv h, l, w]."""
        queries = self._split(self.q_proj(x), self.heads)
        keys = self._split(self.k_proj(x), self.kv_heads)
        values = self._split(self.v_proj(x), self.kv_heads)
        cos, sin = cos.to(queries.dtype), sin.to(queries.dtype)
        return Rotate.apply(queries, cos, sin), Rotate.apply(keys, cos, sin), values

    def _split(self, projected: Tensor, heads: int) -> Tensor:
        return projected.unflatten(-1, (heads, self.head_width)).transpose(1, 2)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, apart: Groups | Tensor | None = None
    ) -> Tensor:
        """[b, l, d] -> [b, l, d]; `apart` are packed examples in groups, or their mask."""
        queries, keys, values = self.project(x, cos, sin)
        if self.kv_heads != self.heads:
            each = self.heads // self.kv_heads
            keys = keys.repeat_interleave(each, dim=1)
            values = values.repeat_interleave(each, dim=1)
        if apart is None:
            mixed = causal_attention(queries, keys, values)
        elif isinstance(apart, Groups):
            mixed = grouped_attention(queries, keys, values, apart)
        else:
            mixed = masked_attention(queries, keys, values, apart)
        return self.o_proj(mixed.transpose(1, 2).flatten(2))


class SwiGLU(nn.Module):
    """The gated feed-forward network (Shazeer 2020)."""

    def __init__(self, shape: Architecture) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.width, shape.hidden, bias=shape.mlp_bias)
        self.up_proj = nn.Linear(shape.width, shape.hidden, bias=shape.mlp_bias)
        self.down_proj = nn.Linear(shape.hidden, shape.width, bias=shape.mlp_bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    """One layer: attention and SwiGLU, each behind an RMSNorm and added to what came in."""

    def __init__(self, shape: Architecture, dropout: float) -> None:
        super().__init__()
        self.self_attn = Attention(shape)
        self.mlp = SwiGLU(shape)
        self.input_layernorm = RMSNorm(shape.width, eps=shape.norm_eps)
        self.post_attention_layernorm = RMSNorm(shape.width, eps=shape.norm_eps)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, apart: Groups | Tensor | None = None
    ) -> Tensor:
        x = x + self.dropout(self.self_attn(self.input_layernorm(x), cos, sin, apart))
        return x + self.dropout(self.mlp(self.post_attention_layernorm(x)))


class Llama(nn.Module, Backbone):
    """A Llama without its embeddings: hidden states come out behind the final norm."""

    def __init__(self, options: LlamaOptions) -> None:
        super().__init__()
        self._folder = None if options.weights is None else weights.folder_of(options.weights)
        if self._folder is None:
            self.shape = of_options(options)
        else:
            config = weights.read_config(self._folder)
            self.shape = of_config(config, options, str(self._folder))
        self.width, self.longest = self.shape.width, self.shape.longest
        self.layers = nn.ModuleList(
            Block(self.shape, options.dropout) for _ in range(self.shape.layers)
        )
        self.norm = RMSNorm(self.width, eps=self.shape.norm_eps)
        self.text_stride, self.reads_prefix = options.text_stride, options.text_stride > 0
        self.checkpointed = False
        self._steppers: list[Stepper] = []
        self._compiled: Callable[..., Tensor] | None = None
        self.frequencies: Tensor
        turns = frequencies(self.shape.head_width, self.shape.rope_theta, self.shape.rope_scaling)
        self.register_buffer("frequencies", turns, persistent=False)
        if self._folder is None:
            self._initialize()
        else:
            weights.load_into(self, self._folder)

    def _initialize(self) -> None:
        """As GPT-2 (Radford et al. 2019): what is added to the stream shrinks with the depth."""
        for name, parameter in self.named_parameters():
            if name.endswith(("o_proj.weight", "down_proj.weight")):
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * self.shape.layers))
            elif name.endswith("_proj.weight"):
                nn.init.normal_(parameter, std=0.02)

    def forward(
        self, embedded: Tensor, positions: Tensor | None = None, prefix: Tensor | None = None
    ) -> Tensor:
        """[b, l, d] -> [b, l, d]; padding belongs at the end, where causality hides it.

        `positions` int64 [b, l] of examples that lie end to end: none sees another. `prefix` bool
        [b, l] are the steps of each example's text, where `text_stride` numbers them apart.
        """
        apart: Groups | Tensor | None = None
        if positions is None:
            steps = torch.arange(embedded.shape[1], device=embedded.device)[None]
        else:
            steps = positions
            # groups differ from batch to batch, for which compiled code would be made anew
            compiling = torch.compiler.is_compiling()
            apart = own_example(positions) if compiling else Groups.of(positions)
        if prefix is not None:
            numbers = steps.expand(prefix.shape)
            behind = prefixes.lengths_of(prefix, numbers)
            steps = prefixes.places(numbers, behind, self.text_stride)
        cos, sin = angles(steps[:, None], self.frequencies)
        x = embedded
        for layer in self.layers:
            if self.checkpointed and torch.is_grad_enabled():
                x = checkpoint(layer, x, cos, sin, apart, use_reentrant=False)
            else:
                x = layer(x, cos, sin, apart)
        return self.norm(x)

    def checkpoint_layers(self) -> None:
        """From now on compute the layers again in the backward pass (Chen et al. 2016)."""
        self.checkpointed = True

    def empty_state(self, batch: int, steps: int) -> State:
        """A cache (see `slmkit.codecs.cache`) for `steps` steps of each row."""
        self._steppers = [Stepper(layer) for layer in self.layers]
        state = cache.empty(
            batch,
            steps,
            layers=self.shape.layers,
            heads=self.shape.kv_heads,
            width=self.shape.head_width,
            like=self.norm.weight,
        )
        if self._compiled is not None:
            for held in state["layers"].values():
                for tensor in held.values():
                    # a CUDA graph writes into it, and knows it by its place
                    torch._dynamo.mark_static_address(tensor)
        if self.reads_prefix:
            return {**state, "prefix": torch.zeros_like(state["position"])}
        return state

    @torch.no_grad()
    def step(
        self,
        embedded: Tensor,
        state: State,
        lengths: Tensor | None = None,
        prefix: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Go on from a state by `embedded` [b, l, d] of which `lengths` [b] steps are real.

        `prefix` bool [b, l] is a row's text, where `text_stride` numbers it apart, and comes whole
        with the row's first steps: raises MisfitError where it comes later. For generation: no
        gradient flows, dropout is off, and the state that is passed in is spent (its tensors are
        written in place); keep a `cache.clone` to go on from it twice. Raises IndexError where a
        row would go beyond the state's steps.
        """
        at = cache.chunk(state, embedded.shape[1], lengths)
        if prefix is not None:
            state = prefixes.remember(state, at, prefix)
        places = self._places(at, state)
        # a copy of a model was never asked for a state
        self._steppers = self._steppers or [Stepper(layer) for layer in self.layers]
        if self._compiled is None or embedded.shape[1] > 1:
            return self._through(embedded, state, at, places), cache.advance(state, at)
        one = cache.of_static_shape(at, state)
        hidden = self._compiled(embedded, state["layers"], one.positions, one.slots, places)
        return hidden.clone(), cache.advance(state, at)

    def _places(self, at: cache.Chunk, state: State) -> Tensor:
        """By which the heads of a chunk's steps are turned [b, l]."""
        if not self.reads_prefix:
            return at.positions
        return prefixes.places(at.positions, state["prefix"][:, None], self.text_stride)

    def _through(self, x: Tensor, state: State, at: cache.Chunk, places: Tensor) -> Tensor:
        turn = Turn(at, *angles(places, self.frequencies), x.dtype)
        for index, stepper in enumerate(self._steppers):
            x = stepper(x, state, index, turn)
        normed: Tensor = self.norm(x)
        return normed

    def _one(
        self, x: Tensor, layers: State, positions: Tensor, slots: Tensor, places: Tensor
    ) -> Tensor:
        """A step as a function of tensors alone."""
        state = {"layers": layers}
        at = cache.Chunk(positions, slots, cache.capacity(state), False, positions[:, 0], True)
        return self._through(x, state, at, places)

    def compile_steps(self) -> None:
        """From now on take single steps compiled, in shapes that never change; on a GPU as a CUDA
        graph. A new length or batch of a cache is compiled anew."""
        self._compiled = torch.compile(self._one, mode="reduce-overhead", fullgraph=True)

    def __getstate__(self) -> dict[str, Any]:
        # a copy of the model steps with its own weights
        return {**self.__dict__, "_steppers": [], "_compiled": None}

    def pretrained_embeddings(self) -> tuple[Tensor, Tensor] | None:
        """The rows [v, d] of the input embedding and of the output projection that came with
        `weights`, read anew from its files; None for a network of our own."""
        return None if self._folder is None else weights.read_embeddings(self._folder)
