"""Language models of transformers of the same shapes as ours, and ours.

Ours and `LlamaForCausalLM` hold the same weights. MusicGen's decoder and CSM are other networks of
the same width, depth and number of codes, with random weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from slmkit.api import CodeSpec, TextTokenizer
from slmkit.generation.loop import steps
from slmkit.generation.sampling import Sampling
from slmkit.host import build
from slmkit.lm.grid import Grid
from slmkit.lm.speechlm import SpeechLM

WIDTH, LAYERS, HEADS, HIDDEN = 512, 8, 8, 1408
BOOKS, CODES = 4, 1024
SPEC = CodeSpec(24000, 1920, (CODES,) * BOOKS)
UNITS = CodeSpec(24000, 1920, (CODES,))
SHAPE = {"width": WIDTH, "layers": LAYERS, "heads": HEADS, "hidden": HIDDEN}
MINI = {"width": 256, "layers": 4, "heads": 4}
DEEP = {"width": 256, "layers": 4, "heads": 4, "shared": True}


class Bytes(TextTokenizer):
    """256 text ids."""

    size = 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(ids).decode(errors="replace")


def model(
    strategy: str,
    options: Mapping[str, Any] | None = None,
    spec: CodeSpec = SPEC,
    shape: Mapping[str, int] = SHAPE,
) -> SpeechLM:
    """An untrained model, by default of 26 million parameters in its backbone."""
    torch.manual_seed(0)
    decoding = build("decoding", strategy, options or {})
    backbone = build("backbone", "llama", shape)
    return SpeechLM.new(backbone, decoding, Bytes(), spec, "<eoa>").eval()


def generate(lm: SpeechLM, prompts: Sequence[Grid], count: int) -> Tensor:
    """So many new steps [b, s, count], the best token always, and no end."""
    greedy = Sampling(temperature=0, most=count, least=count, stop=("<eoa>",))
    made = [step.tokens for step in steps(lm, prompts, greedy)]
    return torch.stack(made, dim=2)


def llama_of_transformers(lm: SpeechLM) -> Any:
    """`LlamaForCausalLM` with the weights of a model of one stream."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=lm.vocabulary.size,
        hidden_size=WIDTH,
        intermediate_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        rms_norm_eps=1e-5,
        max_position_embeddings=8192,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    theirs = LlamaForCausalLM(config).eval()
    state = {f"model.{name}": tensor for name, tensor in lm.backbone.state_dict().items()}
    state["model.embed_tokens.weight"] = lm.embedding[0].weight.detach()
    state["lm_head.weight"] = lm.head.rows(0).detach()
    theirs.load_state_dict(state)
    return theirs


def musicgen_of_transformers() -> Any:
    """MusicGen's decoder of our width, depth and codebooks."""
    from transformers import MusicgenDecoderConfig, MusicgenForCausalLM

    config = MusicgenDecoderConfig(
        vocab_size=CODES,
        num_hidden_layers=LAYERS,
        ffn_dim=HIDDEN * 3 // 2,  # two matrices instead of SwiGLU's three: as many weights
        num_attention_heads=HEADS,
        hidden_size=WIDTH,
        num_codebooks=BOOKS,
        max_position_embeddings=8192,
        pad_token_id=CODES,
        bos_token_id=CODES,
        eos_token_id=None,
    )
    return MusicgenForCausalLM(config).eval()


def csm_of_transformers(books: int) -> Any:
    """CSM of our width and depth, and a depth decoder of that of our head."""
    from transformers import CsmConfig, CsmForConditionalGeneration, MimiConfig

    tiny = MimiConfig(hidden_size=32, num_filters=4, num_hidden_layers=1, num_attention_heads=2,
                      intermediate_size=32, codebook_size=8, codebook_dim=16, num_quantizers=books,
                      upsample_groups=32,
                      vector_quantization_hidden_dimension=16)  # fmt: skip
    config = CsmConfig(
        num_codebooks=books,
        vocab_size=CODES,
        text_vocab_size=256,
        hidden_size=WIDTH,
        intermediate_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        codebook_eos_token_id=CODES - 2,
        codebook_pad_token_id=CODES - 1,
        bos_token_id=1,
        eos_token_id=None,
        pad_token_id=0,
        audio_token_id=2,
        audio_eos_token_id=3,
        depth_decoder_config={
            "num_codebooks": books,
            "backbone_hidden_size": WIDTH,
            "vocab_size": CODES,
            "hidden_size": DEEP["width"],
            "intermediate_size": 2 * DEEP["width"],
            "num_hidden_layers": DEEP["layers"],
            "num_attention_heads": DEEP["heads"],
            "num_key_value_heads": DEEP["heads"],
            "max_position_embeddings": books + 1,
        },
        codec_config=tiny.to_dict(),
    )
    return CsmForConditionalGeneration(config).eval()
