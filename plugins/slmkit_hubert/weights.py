"""HuBERT models of transformers: loaded, or refused."""

from __future__ import annotations

from typing import Any

import torch

from slmkit.api import WeightsError


def load_hubert(model: str, layer: int) -> Any:
    """A HubertModel in float32 from a folder or the hub's cache, with blocks up to `layer`.

    Raises WeightsError where there is none, where it has no such layer, or where it is built in a
    way that no published HuBERT is.
    """
    from transformers import HubertModel

    try:
        hubert = HubertModel.from_pretrained(model, dtype=torch.float32)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(
            f"hubert-km: no model at '{model}' ({reason}); give a folder with config.json and "
            f"model.safetensors, or download it: hf download {model}"
        ) from None
    config = hubert.config
    if not 1 <= layer <= config.num_hidden_layers:
        raise WeightsError(
            f"hubert-km: layer {layer} of {model}, which has layers 1 to {config.num_hidden_layers}"
        )
    for setting, strange in (
        ("conv_pos_batch_norm", config.conv_pos_batch_norm),
        ("adapter_attn_dim", getattr(config, "adapter_attn_dim", None) is not None),
    ):
        if strange:
            raise WeightsError(
                f"hubert-km: {model} sets '{setting}' in its config.json, which is not understood "
                f"here; take a HuBERT without it"
            )
    return hubert.requires_grad_(False).eval()
