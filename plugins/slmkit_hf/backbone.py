"""The backbone `hf`.

Letters: b (batch), l (step), d (width).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from slmkit.api import Backbone, State, WeightsError
from slmkit_hf.plugin import HfBackboneOptions


class HfBackbone(nn.Module, Backbone):
    """A transformers model between its embeddings and its head, with a preallocated cache.

    Rows that stand at different positions share the cache's columns: a column that is padding in a
    row is masked there, and positions are counted for each row by itself.
    """

    def __init__(self, options: HfBackboneOptions) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoModelForCausalLM

        try:
            config = AutoConfig.from_pretrained(options.model)
            if options.pretrained:
                whole = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32)
            else:
                whole = AutoModelForCausalLM.from_config(config)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise WeightsError(
                f"backbone 'hf': no causal language model at '{options.model}' ({reason}); give a "
                f"folder, or download it: hf download {options.model}"
            ) from None
        self._tables = None
        if options.pretrained:
            rows = whole.get_input_embeddings().weight, whole.get_output_embeddings().weight
            self._tables = (rows[0].detach().clone(), rows[1].detach().clone())
        self.config = whole.config
        self.model = whole.base_model
        # the vocabulary's tables belong to SpeechLM
        self.model.set_input_embeddings(nn.Identity())
        self.width = int(self.config.get_text_config().hidden_size)

    def forward(self, embedded: Tensor) -> Tensor:
        hidden: Tensor = self.model(inputs_embeds=embedded, use_cache=False).last_hidden_state
        return hidden

    def empty_state(self, batch: int, steps: int) -> State:
        """A static cache; `copy.deepcopy` of a state is an independent one."""
        from transformers import StaticCache

        device = next(self.parameters()).device
        return {
            "cache": StaticCache(config=self.config, max_cache_len=steps),
            "real": torch.zeros(batch, steps, dtype=torch.bool, device=device),
            "columns": 0,
            "lengths": torch.zeros(batch, dtype=torch.int64, device=device),
        }

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(
        self, embedded: Tensor, state: State, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Go on from a state, which is spent. Raises IndexError beyond its steps."""
        batch, chunk = embedded.shape[:2]
        if lengths is None:
            lengths = torch.full((batch,), chunk, device=embedded.device)
        begin, end = state["columns"], state["columns"] + chunk
        if end > state["real"].shape[1]:
            raise IndexError(f"step {end} of a state of {state['real'].shape[1]} steps")
        columns = torch.arange(chunk, device=embedded.device)
        state["real"][:, begin:end] = columns < lengths[:, None]
        hidden = self.model(
            inputs_embeds=embedded,
            attention_mask=state["real"][:, :end].long(),
            position_ids=state["lengths"][:, None] + columns,
            past_key_values=state["cache"],
            use_cache=True,
        ).last_hidden_state
        return hidden, {**state, "columns": end, "lengths": state["lengths"] + lengths}

    def pretrained_embeddings(self) -> tuple[Tensor, Tensor] | None:
        """The rows [v, d] of the model's input embedding and output projection."""
        return self._tables
