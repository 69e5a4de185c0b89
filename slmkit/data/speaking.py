"""Codes to sound: through a tokenizer's own decoder, or a vocoder that speaks its codes.

Letters: b (batch), k (codebook), t (frame), n (sample).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import torch

from slmkit.api import Codes, CodeSpec, DataError, MisfitError, Tokenizer, Utterance, Vocoder
from slmkit.data.audio import Wave, read_audio, read_utterance, utterance_blocks, write_blocks
from slmkit.data.coding import LONG_S, code_blocks, seconds_of
from slmkit.data.shards import StoredCodes
from slmkit.data.store import check_row
from slmkit.host import build

BATCH_S = 60.0
"""Seconds of sound that are decoded at once, padding included."""

ENDING = ".flac"
"""Of files in a folder."""


@dataclass(frozen=True)
class Voice:
    """Makes codes audible: a tokenizer with a decoder, or a vocoder.

    Attributes:
        speaker: in whose voice a vocoder speaks, as `voice_of` gives it; None: in its own.
    """

    part: Tokenizer | Vocoder
    speaker: torch.Tensor | None = None

    @property
    def sample_rate(self) -> int:
        """Of its waves, Hz."""
        if isinstance(self.part, Vocoder):
            return self.part.sample_rate
        spec = self.part.spec
        return spec.output_sample_rate or spec.sample_rate

    def check(self, spec: CodeSpec, place: object) -> None:
        """Raise MisfitError where it cannot speak codes of this kind; `place` says whose they are.

        Fewer codebooks than a decoder knows may do, which is for the decoder to say; merged units
        may do where they carry their durations.
        """
        own = self._spec()
        if own is None:
            return
        count = spec.codebooks if isinstance(self.part, Tokenizer) else own.codebooks
        wanted = replace(
            own, codebook_sizes=own.codebook_sizes[:count], deduplicated=spec.deduplicated
        )
        if spec != wanted:
            kind = "tokenizer" if isinstance(self.part, Tokenizer) else "vocoder"
            raise MisfitError(
                f"{place}: these codes are of another kind than the {kind}'s: "
                f"{spec.unlike(replace(own, deduplicated=spec.deduplicated))}"
            )

    def speak(self, codes: Codes) -> list[Wave]:
        """The wave [n] of each row of codes [b, k, t]."""
        with torch.inference_mode():
            if isinstance(self.part, Vocoder):
                speaker = self.speaker
                if speaker is not None:
                    speaker = speaker.expand(len(codes), *speaker.shape)
                wav, lengths = self.part.synthesize(codes, speaker)
            else:
                wav, lengths = self.part.decode(codes.expand())
        rows = zip(wav.cpu(), lengths.tolist(), strict=True)
        return [row[:length].numpy() for row, length in rows]

    def blocks(self, codes: Codes) -> Iterator[Wave]:
        """The wave of one utterance, codes [1, k, t], in blocks [n]."""
        if isinstance(self.part, Vocoder):
            yield from self.speak(codes)
            return
        with torch.inference_mode():
            for block in self.part.decode_long(codes.expand()):
                yield block[0].cpu().numpy()

    def _spec(self) -> CodeSpec | None:
        if isinstance(self.part, Tokenizer):
            return self.part.spec
        origin = getattr(self.part, "origin", None)
        return None if origin is None else origin.given.get("spec")


def voice_of(part: Tokenizer | Vocoder, asked: str | None) -> torch.Tensor | None:
    """A voice that a person asks for: by name or number, or by a file in which it is heard.

    Raises MisfitError where there is none to choose, UnknownNameError, AudioError.
    """
    if asked is None:
        return None
    if not isinstance(part, Vocoder):
        raise MisfitError(f"a decoder speaks in the voice of its codes: leave out '{asked}'")
    if not Path(asked).is_file():
        return part.voice(asked)
    if part.voice_encoder is None:
        raise MisfitError(f"{asked}: this vocoder hears no voices: ask for one by name or number")
    options = dict(part.voice_encoder)
    encoder = build("speaker-encoder", options.pop("part"), options)
    wav = torch.from_numpy(read_audio(Path(asked), encoder.sample_rate))
    voice: torch.Tensor = encoder.embed(wav[None], torch.tensor([len(wav)]))[0]
    return voice


def speak_rows(
    rows: Iterable[StoredCodes], spec: CodeSpec, voice: Voice, output: Path, place: Path
) -> Iterator[tuple[str, float]]:
    """Write the sound of stored rows below a folder; gives each id and its seconds when it is done.

    Raises DataError for codes that do not fit their spec, or an id that leads out of the folder.
    """
    voice.check(spec, place)
    for some in _together(rows, spec):
        for row in some:
            check_row(row, spec, place)
        files = [place_in(output, row.id) for row in some]
        if len(some) == 1:
            waves: Iterable[Iterable[Wave]] = [voice.blocks(some[0].alone(spec))]
        else:
            waves = [[wave] for wave in voice.speak(_batch(some, spec))]
        for row, file, blocks in zip(some, files, waves, strict=True):
            written = write_blocks(file, blocks, voice.sample_rate)
            yield row.id, written / voice.sample_rate


@dataclass(frozen=True)
class Copied:
    """What it took to code a sound and to speak the codes.

    Attributes:
        sound_s: seconds of the sound; copy_s: of its copy.
        seconds: of work, reading and writing included.
    """

    sound_s: float
    copy_s: float
    seconds: float


def resynthesize(utterance: Utterance, tokenizer: Tokenizer, voice: Voice, file: Path) -> Copied:
    """Code a sound, and write what is heard of the codes. Raises AudioError."""
    rate, started, heard = tokenizer.spec.sample_rate, perf_counter(), 0

    def counted(blocks: Iterable[Wave]) -> Iterator[Wave]:
        nonlocal heard
        for block in blocks:
            heard += len(block)
            yield block

    if seconds_of(utterance) > LONG_S:
        codes = code_blocks(counted(utterance_blocks(utterance, rate)), tokenizer)
    else:
        (wav,) = counted([read_utterance(utterance, rate)])
        with torch.inference_mode():
            codes = tokenizer.encode(torch.from_numpy(wav)[None], torch.tensor([len(wav)]))
    written = write_blocks(file, voice.blocks(codes), voice.sample_rate)
    return Copied(heard / rate, written / voice.sample_rate, perf_counter() - started)


def _together(rows: Iterable[StoredCodes], spec: CodeSpec) -> Iterator[list[StoredCodes]]:
    """Neighbours that can be decoded in one batch: those without side tensors, up to `BATCH_S`."""
    batch: list[StoredCodes] = []
    for row in rows:
        longest = max(_frames(each) for each in [*batch, row])
        too_long = longest * (len(batch) + 1) > BATCH_S * spec.frame_rate
        if batch and (too_long or row.side or batch[0].side or _merged(row) != _merged(batch[0])):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _frames(row: StoredCodes) -> int:
    return row.frames if row.durations is None else int(row.durations.sum())


def _merged(row: StoredCodes) -> bool:
    return row.durations is not None


def _batch(rows: Sequence[StoredCodes], spec: CodeSpec) -> Codes:
    durations = [torch.from_numpy(r.durations) for r in rows if r.durations is not None]
    return Codes.pad([torch.from_numpy(row.codes) for row in rows], spec, durations or None)


def place_in(output: Path, id: str) -> Path:
    """The file of a sound in a folder. Raises DataError for an id that leads out of it."""
    file = output / (id + ENDING)
    if not file.resolve().is_relative_to(output.resolve()):
        raise DataError(f"{output}: the id '{id}' leads out of this folder")
    return file
