"""The tokenizer `encodec-reference`. Letters: b (batch), k (codebook), t (frame), n (sample)."""

from __future__ import annotations

from torch import Tensor, nn

from slmkit.api import Codes, CodeSpec, OptionsError, Tokenizer
from slmkit_reference_codecs.plugin import EncodecReferenceOptions
from slmkit_reference_codecs.rows import decode_rows, encode_rows, made
from slmkit_reference_codecs.stand_in import load_reference

SAMPLE_RATE = 24000
HOP_LENGTH = 320
NAME = "encodec-reference"


class EncodecReference(nn.Module, Tokenizer):
    """EnCodec 24 kHz of the package `encodec`, row by row.

    A wave of n samples has ceil(n / 320) frames, and is decoded to 320 samples a frame. Raises
    OptionsError for a bandwidth that the model does not have.
    """

    def __init__(self, options: EncodecReferenceOptions) -> None:
        super().__init__()
        package = load_reference("encodec")
        model = made(
            lambda: package.EncodecModel.encodec_model_24khz(pretrained=False),
            options.weights,
            SAMPLE_RATE,
            NAME,
        )
        if options.kbps not in model.target_bandwidths:
            known = ", ".join(f"{kbps:g}" for kbps in model.target_bandwidths)
            raise OptionsError([f"{NAME}: kbps is {options.kbps:g}, and not one of {known}"])
        model.set_target_bandwidth(options.kbps)
        self.model = model
        codebooks = model.quantizer.get_num_quantizers_for_bandwidth(model.frame_rate, options.kbps)
        self.spec = CodeSpec(SAMPLE_RATE, HOP_LENGTH, (model.quantizer.bins,) * codebooks)

    def train(self, mode: bool = True) -> EncodecReference:
        """Stays in evaluation: in training the package moves its codebooks as it codes."""
        return super().train(False)

    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        return encode_rows(self._encode, wav, lengths, self.spec)

    def decode(self, codes: Codes) -> tuple[Tensor, Tensor]:
        return decode_rows(self._decode, codes, self.spec, NAME)

    def _encode(self, wav: Tensor) -> Tensor:
        ((codes, _),) = self.model.encode(wav[None, None])
        row: Tensor = codes[0]
        return row

    def _decode(self, codes: Tensor) -> Tensor:
        wav: Tensor = self.model.decode([(codes[None], None)])[0, 0]
        return wav
