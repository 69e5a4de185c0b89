"""The tokenizer `speechtokenizer`.

Letters: b (batch), d (width), k (codebook), t (frame), n (sample).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from slmkit.api import Codes, CodeSpec, MisfitError, State, Tokenizer
from slmkit.codecs.codec import SeanetCodec, check_codes, padded_waves, stretch
from slmkit.codecs.lean import restore_lean
from slmkit.codecs.published import from_published, load_checked, read_state
from slmkit.codecs.seanet import SeanetSizes
from slmkit.codecs.waves import channelled
from slmkit_speechtokenizer.config import PUBLISHED_CONFIG, Config, read_config
from slmkit_speechtokenizer.plugin import PUBLISHED, SpeechTokenizerOptions

NAME = "speechtokenizer"
FILES = ("SpeechTokenizer.pt", "ckpt.dev")
"""What the checkpoint is called in published folders: the ELU model's, and AnyGPT's Snake one."""


class SpeechTokenizer(nn.Module, Tokenizer):
    """SpeechTokenizer (Zhang et al. 2023), whose codes are those of its package to the last one.

    Of the codebooks only those asked for are given, each coded with all before it; the package's
    own `st` hands the whole latent to the first one that it gives, and so gives other codes.
    `decode` sums up no others than those given, as the package does.
    """

    def __init__(self, options: SpeechTokenizerOptions) -> None:
        super().__init__()
        self.options = options
        config = _config(options)
        first, last = options.range
        if last > config.codebooks:
            raise MisfitError(
                f"speechtokenizer: codebooks {options.codebooks} of a model that has "
                f"{config.codebooks}"
            )
        if options.weights is None:
            self.codec = SeanetCodec.untrained(
                config.sizes,
                config.codebooks,
                config.entries,
                config.sample_rate,
                options.seed,
                scaled=bool(options.sized),
            )
        else:
            self.codec = load_codec(config, _checkpoint(Path(options.weights)))
        hop = config.sizes.hop_length
        self.spec = CodeSpec(config.sample_rate, hop, (config.entries,) * (last - first + 1))
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> SpeechTokenizer:
        """Stays in evaluation: its codebooks do not learn here."""
        return super().train(False)

    def restore(self, folder: Path) -> None:
        """Read what `save` wrote, or `slmkit export`."""
        restore_lean(self, folder)

    @torch.inference_mode()
    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        wav, ends = channelled(wav, lengths, 1, NAME)
        first, last = self.options.range
        rows = self.codec.encode(wav, ends, last)
        return Codes.pad([row[first - 1 :] for row in rows], self.spec)

    @torch.inference_mode()
    def decode(self, codes: Codes) -> tuple[Tensor, Tensor]:
        lengths = check_codes(codes, self.spec, NAME)
        first = self.options.range[0] - 1
        return padded_waves([wave[0] for wave in self.codec.decode(codes.values, lengths, first)])

    @torch.inference_mode()
    def decode_books(self, codes: Codes, books: Sequence[int]) -> tuple[Tensor, Tensor]:
        lengths, chosen = check_codes(codes, self.spec, NAME), stretch(books, NAME)
        first = self.options.range[0] - 1 + chosen.start
        waves = self.codec.decode(codes.values[:, chosen], lengths, first)
        return padded_waves([wave[0] for wave in waves])

    @torch.inference_mode()
    def encode_long(self, blocks: Iterable[Tensor]) -> Iterator[Codes]:
        first, last = self.options.range
        waves = (channelled(b, torch.tensor([b.shape[1]]), 1, NAME)[0] for b in blocks)
        for codes in self.codec.encode_long(waves, last):
            yield Codes.pad([codes[first - 1 :]], self.spec)

    def reconstruct(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        first, last = self.options.range
        passed = self.codec(wav[:, None], last, first - 1)
        return passed.copy[:, 0], passed.quantized.commitment

    @torch.inference_mode()
    def decode_long(self, codes: Codes) -> Iterator[Tensor]:
        (length,) = check_codes(codes, self.spec, NAME)
        yield from self.codec.decode_long(codes.values[..., :length], self.options.range[0] - 1)

    def empty_decode_state(self, batch: int) -> State:
        return self.codec.decoder.empty_state(batch)

    @torch.inference_mode()
    def decode_step(self, codes: Codes, state: State, last: bool = False) -> tuple[Tensor, State]:
        """As the contract says. Its decoder looks ahead by a few frames, and its LSTM hears all
        that was said; `decode` cuts what is longer than twelve seconds, this does not."""
        latents = self.codec.quantizer.decode(codes.values, self.options.range[0] - 1)
        wav, state = self.codec.decoder.step(latents, state, last)
        return wav[:, 0], state


def load_codec(config: Config, path: Path) -> SeanetCodec:
    """The codec of a checkpoint; what only its training needs is left. Raises WeightsError."""
    codec = SeanetCodec(config.sizes, config.codebooks, config.entries, config.sample_rate)
    state = from_published(read_state(path), config.sizes, config.codebooks)
    # the map from the first codebook's latents to HuBERT's, which distillation compares
    state = {name: tensor for name, tensor in state.items() if not name.startswith("transform.")}
    hint = "does the config belong to it? the Snake model's differs from the ELU model's"
    load_checked(codec, state, str(path), hint)
    return codec


def _checkpoint(weights: Path) -> Path:
    """The file of weights, or the one that a published folder holds."""
    if not weights.is_dir():
        return weights
    return next((weights / name for name in FILES if (weights / name).exists()), weights / FILES[0])


def _config(options: SpeechTokenizerOptions) -> Config:
    """The config that is named, that lies beside the weights, or that is published."""
    if options.config is not None:
        return read_config(Path(options.config))
    beside = (
        _checkpoint(Path(options.weights)).with_name("config.json") if options.weights else None
    )
    if beside is not None and beside.exists():
        return read_config(beside)
    return PUBLISHED_CONFIG if options.weights is not None else _sized(options)


def _sized(options: SpeechTokenizerOptions) -> Config:
    """The config of a codec without files, of the sizes asked for."""
    sizes = SeanetSizes(
        width=options.width,
        filters=options.filters,
        ratios=tuple(options.ratios),
        lstm_layers=options.lstm_layers,
        from_both_sides=options.lstm_layers > 0,
        causal=False,
    )
    return Config(sizes, max(PUBLISHED, options.range[1]), options.entries, 16000)
