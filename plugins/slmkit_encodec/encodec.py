"""The tokenizer `encodec`.

Letters: b (batch), c (channel), k (codebook), t (frame), n (sample), s (segment).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from slmkit.api import Codes, CodeSpec, MisfitError, State, Tokenizer, WeightsError
from slmkit.codecs.codec import WINDOW, SeanetCodec, check_codes, padded_waves, stretch
from slmkit.codecs.lean import restore_lean
from slmkit.codecs.published import from_published, load_checked, read_state
from slmkit.codecs.seanet import SeanetSizes
from slmkit.codecs.waves import channelled, check_chunk
from slmkit_encodec import segments
from slmkit_encodec.plugin import CODEBOOKS, ENTRIES, OWN, SEGMENT, EncodecOptions

NAME = "encodec"
SIZES = {
    "24khz": (24000, SeanetSizes()),
    "48khz": (48000, SeanetSizes(channels=2, causal=False, normed=True)),
}


class Encodec(nn.Module, Tokenizer):
    """EnCodec (Defossez et al. 2022), whose codes are those of Meta's package to the last one.

    At 24 kHz it streams: `step` codes chunks as they come, `decode_step` speaks them. At 48 kHz it
    codes overlapping segments of a second, each scaled to its own level; the levels and the
    segments' lengths travel in `Codes.side` as `scales` [b, s] and `segments` [b, s] (frames; 0
    where a row has no such segment). A mono wave goes into both channels, a stereo one is given as
    [b, 2, n]; `decode` gives the mean of the channels, `decode_stereo` both.
    """

    def __init__(self, options: EncodecOptions) -> None:
        super().__init__()
        self.options = options
        rate, sizes = _sized(options) if options.variant == OWN else SIZES[options.variant]
        if options.weights is None:
            own = options.variant == OWN
            most = options.books if own else max(CODEBOOKS[options.variant].values())
            entries = options.entries
            self.codec = SeanetCodec.untrained(sizes, most, entries, rate, options.seed, scaled=own)
        else:
            self.codec = load_codec(options.variant, options.weights)
        self.spec = CodeSpec(
            rate,
            sizes.hop_length,
            (options.entries,) * options.codebooks,
            segment=SEGMENT if options.variant == "48khz" else None,
        )
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Encodec:
        """Stays in evaluation: its codebooks do not learn here."""
        return super().train(False)

    def restore(self, folder: Path) -> None:
        """Read what `save` wrote, or `slmkit export`."""
        restore_lean(self, folder)

    @torch.inference_mode()
    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        wav, rows = channelled(wav, lengths, self.codec.sizes.channels, NAME)
        if self.options.variant == "48khz":
            return segments.encode(self.codec, wav, rows, self.spec)
        return Codes.pad(self.codec.encode(wav, rows, self.options.codebooks), self.spec)

    @torch.inference_mode()
    def decode(self, codes: Codes) -> tuple[Tensor, Tensor]:
        lengths = check_codes(codes, self.spec, NAME)
        if self.options.variant == "48khz":
            waves = segments.decode(self.codec, codes)
            return padded_waves([wave.mean(dim=0) for wave in waves])
        return padded_waves([wave[0] for wave in self.codec.decode(codes.values, lengths)])

    @torch.inference_mode()
    def decode_books(self, codes: Codes, books: Sequence[int]) -> tuple[Tensor, Tensor]:
        if self.options.variant == "48khz":
            return super().decode_books(codes, books)
        lengths, chosen = check_codes(codes, self.spec, NAME), stretch(books, NAME)
        waves = self.codec.decode(codes.values[:, chosen], lengths, chosen.start)
        return padded_waves([wave[0] for wave in waves])

    @torch.inference_mode()
    def decode_stereo(self, codes: Codes) -> list[Tensor]:
        """The wave [2, n] of each row, of the 48 kHz model. Raises MisfitError."""
        check_codes(codes, self.spec, NAME)
        if self.options.variant != "48khz":
            raise MisfitError("encodec: only its variant 48khz is stereo")
        return segments.decode(self.codec, codes)

    def reconstruct(self, wav: Tensor) -> tuple[Tensor, Tensor]:
        waves = wav[:, None].expand(-1, self.codec.sizes.channels, -1)
        if self.options.variant == "48khz":
            copy, commitment = segments.reconstruct(self.codec, waves, self.options.codebooks)
            return copy.mean(dim=1), commitment
        passed = self.codec(waves, self.options.codebooks)
        return passed.copy[:, 0], passed.quantized.commitment

    @torch.inference_mode()
    def decode_long(self, codes: Codes) -> Iterator[Tensor]:
        (length,) = check_codes(codes, self.spec, NAME)
        if self.options.variant == "48khz":
            yield from (wav.mean(0, True) for wav in segments.decode_long(self.codec, codes))
            return
        yield from self.codec.decode_long(codes.values[..., :length])

    @torch.inference_mode()
    def encode_long(self, blocks: Iterable[Tensor]) -> Iterator[Codes]:
        if self.streams:
            yield from super().encode_long(blocks)
            return
        both = self.codec.sizes.channels
        waves = (channelled(b, torch.tensor([b.shape[-1]]), both, NAME)[0] for b in blocks)
        if self.options.variant == "48khz":
            yield from segments.encode_long(self.codec, waves, self.spec)
            return
        for codes in self.codec.encode_long(waves, self.options.codebooks):
            yield Codes.pad([codes], self.spec)

    @property
    def streams(self) -> bool:
        return self.codec.sizes.causal

    def empty_state(self, batch: int) -> State:
        self._streams()
        return self.codec.encoder.empty_state(batch)

    @torch.inference_mode()
    def step(self, chunk: Tensor, state: State) -> tuple[Codes, State]:
        self._streams()
        parts = []
        # a chunk may be long: a window at a time takes no more memory than a window
        for piece in check_chunk(chunk, NAME).split(WINDOW * self.spec.sample_rate, dim=1):
            values, state = self._advance(piece, state)
            parts.append(values)
        return self._codes(torch.cat(parts, dim=-1)), state

    @torch.inference_mode()
    def finish(self, state: State) -> Codes:
        self._streams()
        batch = len(state["lstm"]["h"][0])
        values, _ = self._advance(state["lstm"]["h"].new_empty(batch, 0), state, last=True)
        return self._codes(values)

    def _advance(self, chunk: Tensor, state: State, last: bool = False) -> tuple[Tensor, State]:
        """The codes [b, k, t] that are certain after a chunk [b, n]; after the last, all left."""
        latents, state = self.codec.encoder.step(chunk[:, None], state, last)
        return self.codec.quantizer.encode(latents, self.options.codebooks), state

    def _codes(self, values: Tensor) -> Codes:
        return Codes(values, torch.full((len(values),), values.shape[-1]), self.spec)

    @property
    def decodes_in_steps(self) -> bool:
        return True

    def empty_decode_state(self, batch: int) -> State:
        if not self.streams:
            return segments.empty_decode_state(batch)
        return self.codec.decoder.empty_state(batch)

    @torch.inference_mode()
    def decode_step(self, codes: Codes, state: State, last: bool = False) -> tuple[Tensor, State]:
        """As the contract says; the first frames wait for a few more. At 48 kHz whole segments
        come, with their side tensors. Raises MisfitError for parts of them."""
        if not self.streams:
            wav, state = segments.decode_step(self.codec, codes, state, last)
            return wav.mean(dim=1), state
        latents = self.codec.quantizer.decode(codes.values)
        wav, state = self.codec.decoder.step(latents, state, last)
        return wav[:, 0], state

    def _streams(self) -> None:
        if not self.streams:
            raise MisfitError(
                f"encodec: its variant {self.options.variant} does not stream as it was built; "
                f"24khz does, and 16khz where it is causal"
            )


def _sized(options: EncodecOptions) -> tuple[int, SeanetSizes]:
    """Rate and sizes of the variant that is to be trained."""
    sizes = SeanetSizes(
        width=options.width,
        filters=options.filters,
        ratios=tuple(options.ratios),
        lstm_layers=options.lstm_layers,
        from_both_sides=options.lstm_layers > 0 and not options.causal,
        causal=options.causal,
    )
    return 16000, sizes


def load_codec(variant: str, weights: str) -> SeanetCodec:
    """The published model of a file, a folder or a hub id. Raises WeightsError."""
    rate, sizes = SIZES[variant]
    most = max(CODEBOOKS[variant].values())
    path = _find(weights)
    codec = SeanetCodec(sizes, most, ENTRIES, rate)
    state = from_published(read_state(path), sizes, most)
    other = next(name for name in SIZES if name != variant)
    hint = (
        f"is it EnCodec's {variant} model? the one of {other} needs variant={other}, and "
        f"audiocraft's and MusicGen's are other networks"
    )
    load_checked(codec, state, str(path), hint)
    return codec


def _find(weights: str) -> Path:
    """The file that a path or a hub id stands for."""
    path = Path(weights)
    if path.is_dir():
        return path / "model.safetensors"
    if path.exists() or path.suffix in {".th", ".pt", ".bin", ".safetensors"}:
        return path
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(weights, "model.safetensors"))
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"encodec: no weights at '{weights}' ({reason}); give a file, a folder, or download "
            f"them: hf download {weights}"
        ) from None
