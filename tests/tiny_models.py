"""Published kinds of models, tiny and with random weights, as folders that transformers reads."""

from __future__ import annotations

import json
from pathlib import Path

import oracles
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    DacConfig,
    DacModel,
    HubertConfig,
    HubertModel,
    LlamaConfig,
    LlamaForCausalLM,
    MimiConfig,
    MimiModel,
    PreTrainedTokenizerFast,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
    WavLMConfig,
    WavLMForXVector,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizerFast,
    XcodecConfig,
    XcodecModel,
)

ENCODER = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48,
    "conv_dim": [16] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip


def hubert(folder: Path) -> Path:
    torch.manual_seed(0)
    HubertModel(HubertConfig(**ENCODER)).save_pretrained(folder)
    return folder


def centroids(folder: Path, clusters: int = 12) -> Path:
    torch.manual_seed(1)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"centroids": torch.randn(clusters, 32)}, folder / "km.safetensors")
    return folder / "km.safetensors"


def wavlm(folder: Path) -> Path:
    torch.manual_seed(0)
    config = WavLMConfig(**ENCODER, tdnn_dim=[32] * 5, xvector_output_dim=24)
    WavLMForXVector(config).save_pretrained(folder)
    return folder


def wav2vec2(folder: Path) -> Path:
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    words = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGH"]
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"))
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=False)
    Wav2Vec2Processor(extractor, tokenizer).save_pretrained(folder)
    config = Wav2Vec2Config(vocab_size=len(words), pad_token_id=0, **ENCODER)
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    return folder


def whisper(folder: Path) -> Path:
    torch.manual_seed(0)
    tokenizer = WhisperTokenizerFast(tokenizer_object=byte_pairs(256))
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=20).save_pretrained(folder)
    end = len(tokenizer)
    config = WhisperConfig(
        vocab_size=end + 1, num_mel_bins=20, d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16,
        decoder_ffn_dim=16, max_target_positions=12, decoder_start_token_id=end,
        bos_token_id=end, eos_token_id=end, pad_token_id=end,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    model.generation_config.max_length = 8
    model.save_pretrained(folder)
    return folder


def llama(folder: Path) -> Path:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=13, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def text(folder: Path) -> Path:
    PreTrainedTokenizerFast(tokenizer_object=byte_pairs(300)).save_pretrained(folder)
    return folder


def byte_pairs(size: int) -> Tokenizer:
    """A byte-level tokenizer of a few pairs."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    inner.train_from_iterator(["what is three plus five", "name the opposite of hot"], trainer)
    return inner


def mimi(folder: Path) -> Path:
    torch.manual_seed(0)
    config = MimiConfig(
        hidden_size=32, num_filters=4, codebook_size=64, codebook_dim=16, num_quantizers=5,
        vector_quantization_hidden_dimension=16, upsample_groups=32, num_hidden_layers=1,
        intermediate_size=32, num_attention_heads=2, num_key_value_heads=2,
    )  # fmt: skip
    _spread(MimiModel(config)).save_pretrained(folder)
    return folder


def dac(folder: Path) -> Path:
    torch.manual_seed(0)
    config = DacConfig(
        encoder_hidden_size=4, downsampling_ratios=[2, 4, 5, 8], decoder_hidden_size=32,
        n_codebooks=4, codebook_size=64, codebook_dim=4,
    )  # fmt: skip
    _spread(DacModel(config)).save_pretrained(folder)
    return folder


def xcodec(folder: Path) -> Path:
    torch.manual_seed(0)
    acoustic = DacConfig(
        encoder_hidden_size=4, downsampling_ratios=[8, 5, 4, 2], decoder_hidden_size=32,
        hidden_size=24,
    )  # fmt: skip
    config = XcodecConfig(
        acoustic_model_config=acoustic, semantic_model_config=HubertConfig(**ENCODER),
        codebook_size=64, target_bandwidths=[0.3, 0.6, 1.2],
    )  # fmt: skip
    _spread(XcodecModel(config)).save_pretrained(folder)
    return folder


def _spread(codec: torch.nn.Module) -> torch.nn.Module:
    """Louder weights and codebooks, so that sounds fall to many entries of each."""
    with torch.no_grad():
        for name, tensor in [*codec.named_parameters(), *codec.named_buffers()]:
            if "embed_sum" in name or name.endswith("embed"):
                tensor.normal_()
            if "cluster_usage" in name:
                tensor.fill_(1.0)
            if tensor.dim() > 1 and "quantizer" not in name and "semantic_model" not in name:
                tensor.mul_(2.0)
    return codec


def speechtokenizer(config: Path) -> Path:
    """A config.json as published but for its widths, with keys that only its trainer reads."""
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(json.dumps(oracles.TINY_SPEECHTOKENIZER | {"batch_size": 60, "adam_b1": 0.5}))
    return config
