"""The codecs of transformers that code a mono wave into residual codebooks.

Letters: b (batch), k (codebook), t (frame), n (sample).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from slmkit.api import Codes, CodeSpec, MisfitError, Tokenizer, WeightsError
from slmkit.codecs.codec import check_codes
from slmkit.codecs.waves import check_waves
from slmkit_hf_codecs.plugin import CodecOptions


class HfCodec(nn.Module, Tokenizer):
    """What `mimi`, `dac` and `xcodec` share.

    Rows go through the model one by one: they all look at neighbours past a row's end, where
    padding would lie. Codebooks are residual, so that the first ones are the same whether or not
    later ones follow.
    """

    name: ClassVar[str]
    model_class: ClassVar[str]
    whole_frames: ClassVar[bool]
    """Whether the codec's published feature extractor fills a wave up to whole frames."""

    def __init__(self, options: CodecOptions) -> None:
        super().__init__()
        self.options = options
        self.model = load_codec(self.name, self.model_class, options.weights)
        rate, hop, books = self.measures(self.model.config)
        wanted = books if options.codebooks is None else options.codebooks
        if wanted > books:
            raise MisfitError(f"{self.name}: {options.weights} has {books} codebooks, not {wanted}")
        self.spec = CodeSpec(rate, hop, (self.model.config.codebook_size,) * wanted)

    @abstractmethod
    def measures(self, config: Any) -> tuple[int, int, int]:
        """(samples a second, samples a frame, number of codebooks) of a model."""

    def train(self, mode: bool = True) -> HfCodec:
        """Stays in evaluation: the codec is frozen."""
        return super().train(False)

    def state_dict(self, *args: object, **kwargs: object) -> dict[str, Tensor]:
        """Nothing was learnt here; the model is named in the options."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor], *_: object, **__: object) -> None:  # type: ignore[override]
        """Nothing to take."""

    @torch.inference_mode()
    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        check_waves(wav, lengths)
        waves = [row[:length] for row, length in zip(wav, lengths.tolist(), strict=True)]
        rows = [self._encode(wave.to(self.model.device)) for wave in waves]
        return Codes.pad(rows, self.spec).to(wav.device)

    def decode(self, codes: Codes) -> tuple[Tensor, Tensor]:
        return self.decode_books(codes, range(self.spec.codebooks))

    @torch.inference_mode()
    def decode_books(self, codes: Codes, books: Sequence[int]) -> tuple[Tensor, Tensor]:
        ends = check_codes(codes, self.spec, self.name)
        count = len(books)
        if not count or list(books) != list(range(count)):
            raise MisfitError(f"{self.name} decodes the first codebooks alone, and no others")
        waves = []
        for values, length in zip(codes.values, ends, strict=True):
            row = values[None, :count, :length].to(self.model.device)
            waves.append(self.model.decode(audio_codes=row).audio_values.flatten())
        lengths = torch.tensor([len(wave) for wave in waves])
        wav = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
        return wav.to(codes.values.device), lengths

    def _encode(self, wave: Tensor) -> Tensor:
        """Codes [k, t] of one wave [n]."""
        if self.whole_frames:
            wave = F.pad(wave, (0, -len(wave) % self.spec.hop_length))
        codes: Tensor = self.model.encode(wave[None, None]).audio_codes[0]
        return codes[: self.spec.codebooks]


class Mimi(HfCodec):
    """Moshi's codec."""

    name, model_class, whole_frames = "mimi", "MimiModel", False
    # nothing ahead; attention reaches ten seconds back, which would be much to decode each time
    decode_window = (4.0, 0.0)

    def measures(self, config: Any) -> tuple[int, int, int]:
        return config.sampling_rate, int(config.frame_size), config.num_quantizers

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Mimi:
        super()._apply(fn, recurse)
        for module in self.model.modules():
            # transformers remembers a codebook where it was first used, in no buffer
            if getattr(module, "_embed", None) is not None:
                module._embed = None
        return self


class Dac(HfCodec):
    """Descript's audio codec."""

    name, model_class, whole_frames = "dac", "DacModel", True
    decode_window = (0.5, 0.3)

    def measures(self, config: Any) -> tuple[int, int, int]:
        return config.sampling_rate, config.hop_length, config.n_codebooks


class Xcodec(HfCodec):
    """X-Codec."""

    name, model_class, whole_frames = "xcodec", "XcodecModel", True
    decode_window = (0.6, 0.5)

    def measures(self, config: Any) -> tuple[int, int, int]:
        return config.sample_rate, config.hop_length, config.num_quantizers


def load_codec(part: str, model_class: str, weights: str) -> Any:
    """A model of transformers in float32 from a folder or the hub's cache. Raises WeightsError."""
    import transformers

    try:
        loader = getattr(transformers, model_class)
        model = loader.from_pretrained(weights, dtype=torch.float32)
    except AttributeError:
        raise WeightsError(
            f"{part}: transformers {transformers.__version__} has no {model_class}; upgrade it: "
            f"pip install -U transformers"
        ) from None
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(
            f"{part}: no {model_class} at '{weights}' ({reason}); give a folder, or download it: "
            f"hf download {weights}"
        ) from None
    return model.requires_grad_(False).eval()
