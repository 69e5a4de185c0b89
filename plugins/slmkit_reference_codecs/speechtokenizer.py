"""The tokenizer `speechtokenizer-reference`.

Letters: b (batch), k (codebook), t (frame), n (sample).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from slmkit.api import Codes, CodeSpec, OptionsError, Tokenizer, WeightsError
from slmkit_reference_codecs.plugin import SpeechTokenizerReferenceOptions
from slmkit_reference_codecs.rows import decode_rows, encode_rows, made
from slmkit_reference_codecs.stand_in import load_reference

NAME = "speechtokenizer-reference"

PUBLISHED: dict[str, Any] = {
    "n_filters": 64,
    "dimension": 1024,
    "semantic_dimension": 768,
    "strides": [8, 5, 4, 2],
    "lstm_layers": 2,
    "bidirectional": True,
    "dilation_base": 2,
    "residual_kernel_size": 3,
    "n_residual_layers": 1,
    "activation": "ELU",
    "sample_rate": 16000,
    "n_q": 8,
    "codebook_size": 1024,
}
"""What the package reads of a config.json, with the published values."""


class SpeechTokenizerReference(nn.Module, Tokenizer):
    """SpeechTokenizer of the package `speechtokenizer`, row by row.

    A wave of n samples has ceil(n / hop) frames, and is decoded to a hop a frame: 320 samples as
    published. Raises OptionsError for more codebooks than the model has.
    """

    def __init__(self, options: SpeechTokenizerReferenceOptions) -> None:
        super().__init__()
        package = load_reference("speechtokenizer")
        config = PUBLISHED if options.config is None else read_config(Path(options.config))
        if not 1 <= options.codebooks <= config["n_q"]:
            raise OptionsError(
                [f"{NAME}: codebooks is {options.codebooks}; the model has {config['n_q']}"]
            )
        rate = config["sample_rate"]
        self.model = made(lambda: package.SpeechTokenizer(config), options.weights, rate, NAME)
        sizes = (config["codebook_size"],) * options.codebooks
        self.spec = CodeSpec(rate, int(self.model.downsample_rate), sizes)

    def train(self, mode: bool = True) -> SpeechTokenizerReference:
        """Stays in evaluation: in training the package moves its codebooks as it codes."""
        return super().train(False)

    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        return encode_rows(self._encode, wav, lengths, self.spec)

    def decode(self, codes: Codes) -> tuple[Tensor, Tensor]:
        return decode_rows(self._decode, codes, self.spec, NAME)

    def _encode(self, wav: Tensor) -> Tensor:
        codes: Tensor = self.model.encode(wav[None, None], n_q=self.spec.codebooks)[:, 0]
        return codes

    def _decode(self, codes: Tensor) -> Tensor:
        wav: Tensor = self.model.decode(codes[:, None])[0, 0]
        return wav


def read_config(path: Path) -> dict[str, Any]:
    """What the package reads of a config.json; what else stands there is for training.

    Raises WeightsError.
    """
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path}: not a SpeechTokenizer config.json: {error}") from None
    lacking = sorted(set(PUBLISHED) - set(config if isinstance(config, dict) else ()))
    if lacking:
        raise WeightsError(f"{path}: the config lacks {', '.join(lacking)}")
    return {name: config[name] for name in PUBLISHED}
