"""The backbone `hf`.

Letters: b (batch), l (step), d (width), v (vocabulary), h (head), w (width of a head).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from slmkit.api import Backbone, MisfitError, OptionsError, State, WeightsError
from slmkit.codecs import cache
from slmkit.codecs.packed_attention import own_example
from slmkit_hf.plugin import HfBackboneOptions
from slmkit_hf.rows import RowCache, kinds_of_attention, masks

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PROBED = 4


class HfBackbone(nn.Module, Backbone):
    """A model of transformers between its embeddings and its head.

    The state is a cache of `slmkit.codecs.cache`. What does not fit is refused with MisfitError:
    recurrent and linear layers (Mamba), positions that are not taken from `position_ids` (ALiBi),
    and, of pretrained models, scores that are more than a projection of the hidden state.
    """

    def __init__(self, options: HfBackboneOptions) -> None:
        super().__init__()
        if options.dtype not in DTYPES:
            raise OptionsError([f"backbone 'hf': dtype '{options.dtype}' is none of {[*DTYPES]}"])
        whole = _load(options)
        self.config = whole.config
        kinds_of_attention(self.config)
        table = whole.get_input_embeddings()
        self.width = int(table.weight.shape[1])
        self.longest = getattr(self.config, "max_position_embeddings", None)
        self._tables = _tables(whole) if options.pretrained else None
        self.model = whole.base_model
        # the vocabulary's tables belong to SpeechLM
        self.model.set_input_embeddings(nn.Identity())
        if options.gradient_checkpointing:
            self.checkpoint_layers()
        self._cache_shape: tuple[int, int, int] | None = None
        self._packs = False

    @property
    def _dtype(self) -> torch.dtype:
        dtype: torch.dtype = next(self.model.parameters()).dtype
        return dtype

    def forward(self, embedded: Tensor, positions: Tensor | None = None) -> Tensor:
        """[b, l, d] -> [b, l, d]; padding belongs at the end, where causality hides it.

        `positions` int64 [b, l] of examples that lie end to end: none sees another. The first call
        with them tries whether the model keeps to that, and raises MisfitError where it does not.
        """
        apart: dict[str, Any] = {}
        if positions is not None:
            if not self._packs:
                self._probe_packing()
            apart = self._apart(positions)
        taken = embedded.to(self._dtype)
        hidden = self.model(inputs_embeds=taken, use_cache=False, **apart).last_hidden_state
        return hidden.to(embedded.dtype)

    def _apart(self, positions: Tensor) -> dict[str, Any]:
        """The arguments that keep packed examples apart."""
        columns = torch.arange(positions.shape[1], device=positions.device)[None]
        mask = masks(self.config, own_example(positions), columns, self._dtype)
        return {"position_ids": positions, "attention_mask": mask}

    def checkpoint_layers(self) -> None:
        """From now on compute the layers again in the backward pass. Raises MisfitError."""
        try:
            self.model.gradient_checkpointing_enable()
        except ValueError as error:
            raise MisfitError(
                f"backbone 'hf': '{self.config.model_type}' cannot compute its layers again "
                f"({str(error).splitlines()[0]}); leave out checkpointing"
            ) from None

    def empty_state(self, batch: int, steps: int) -> State:
        """A cache for `steps` steps of each row. The first call tries whether the model can be
        followed step by step, and raises MisfitError where it cannot."""
        if self._cache_shape is None:
            self._cache_shape = self._probe()
        layers, heads, width = self._cache_shape
        like = next(self.model.parameters())
        return cache.empty(batch, steps, layers=layers, heads=heads, width=width, like=like)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(
        self, embedded: Tensor, state: State, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Go on from a state by `embedded` [b, l, d] of which `lengths` [b] steps are real.

        No gradient flows, and the state is spent; keep a `cache.clone` to go on from it twice.
        Raises IndexError where a row would go beyond the state's steps.
        """
        at = cache.chunk(state, embedded.shape[1], lengths)
        hidden = self.model(
            inputs_embeds=embedded.to(self._dtype),
            attention_mask=masks(self.config, at.seen, at.positions, self._dtype),
            # padding may lie beyond the last position that the model knows
            position_ids=torch.where(at.slots > 0, at.positions, 0),
            past_key_values=RowCache(state, at),
            use_cache=True,
        ).last_hidden_state
        return hidden.to(embedded.dtype), cache.advance(state, at)

    def pretrained_embeddings(self) -> tuple[Tensor, Tensor] | None:
        """The rows [v, d] of the model's input embedding and output projection, or None where its
        weights are random."""
        return self._tables

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _probe(self) -> tuple[int, int, int]:
        """Layers, key heads and head width of the cache, if steps give what the whole gives."""
        training = self.training
        self.eval()
        try:
            x = _noise(self.width).to(next(self.model.parameters()))
            found = self.model(inputs_embeds=x, use_cache=True).past_key_values
            shapes = {(t.shape[1], t.shape[3]) for held in found.layers for t in _pair(held)}
            (shape,) = shapes
            self._cache_shape = (len(found.layers), *shape)
            whole, state = self(x), self.empty_state(1, PROBED)
            real = torch.tensor([PROBED - 1], device=x.device)
            first, state = self.step(x, state, real)
            last, _ = self.step(x[:, -1:], state)
            apart = (torch.cat((first[:, :-1], last), dim=1) - whole).float().norm()
            fits, reason = bool(apart <= 0.05 * whole.float().norm()), "its steps differ"
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            fits, reason = False, f"{type(error).__name__}: {str(error).splitlines()[0]}"
        finally:
            self.train(training)
        if not fits:
            self._cache_shape = None
            raise MisfitError(
                f"backbone 'hf': '{self.config.model_type}' cannot go on step by step in rows of "
                f"different lengths ({reason}); take a model of plain attention"
            )
        return len(found.layers), *shape

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _probe_packing(self) -> None:
        """Whether the model gives two examples in one row what it gives each alone."""
        training = self.training
        self.eval()
        try:
            x = _noise(self.width).to(next(self.model.parameters()))
            places = torch.arange(PROBED, device=x.device).repeat(2)[None]
            row = torch.cat((x.flip(1), x), dim=1)
            packed = self.model(inputs_embeds=row, use_cache=False, **self._apart(places))
            apart = (packed.last_hidden_state[:, PROBED:] - self(x)).float().norm()
            fits, reason = bool(apart <= 0.05 * self(x).float().norm()), "they see each other"
        except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            fits, reason = False, f"{type(error).__name__}: {str(error).splitlines()[0]}"
        finally:
            self.train(training)
        if not fits:
            raise MisfitError(
                f"backbone 'hf': '{self.config.model_type}' cannot keep examples in one row apart "
                f"({reason}); leave out packing"
            )
        self._packs = True


def _load(options: HfBackboneOptions) -> Any:
    """The whole model. Raises WeightsError."""
    from transformers import AutoConfig, AutoModelForCausalLM

    dtype = DTYPES[options.dtype]
    try:
        if options.pretrained:
            return AutoModelForCausalLM.from_pretrained(
                options.model, dtype=dtype, use_safetensors=True
            )
        config = AutoConfig.from_pretrained(options.model)
        return AutoModelForCausalLM.from_config(config, dtype=dtype)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(
            f"backbone 'hf': no causal language model at '{options.model}' ({reason}); give a "
            f"folder with safetensors, or download it: hf download {options.model}"
        ) from None


@torch.no_grad()  # type: ignore[untyped-decorator]
def _tables(whole: Any) -> tuple[Tensor, Tensor]:
    """Input rows (as the embedding gives them: some scale) and output rows [v, d]. Raises
    MisfitError where the scores are not their product with the hidden state."""
    table, head = whole.get_input_embeddings(), whole.get_output_embeddings()
    rows_in = table(torch.arange(table.weight.shape[0], device=table.weight.device))
    rows_out = head.weight.detach().clone()
    tokens = torch.arange(PROBED, device=table.weight.device)[None] % len(rows_in)
    whole.eval()
    scores = whole(tokens, use_cache=False).logits.float()
    hidden = whole.base_model(inputs_embeds=rows_in[tokens], use_cache=False).last_hidden_state
    plain = (hidden @ rows_out.T).float()
    if (scores - plain).norm() > 0.05 * scores.norm():
        raise MisfitError(
            f"backbone 'hf': the scores of '{whole.config.model_type}' are more than a projection "
            f"(scaled, capped or biased), which slmkit's heads do not do; take another model, or "
            f"pretrained: false"
        )
    return rows_in, rows_out


def _pair(held: Any) -> tuple[Tensor, Tensor]:
    """Keys and values [b, h, l, w] of one layer of a cache of transformers."""
    return held.keys, held.values


def _noise(width: int) -> Tensor:
    return torch.randn(1, PROBED, width, generator=torch.Generator().manual_seed(0))
