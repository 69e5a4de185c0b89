"""Sound of an answer that is still being made. Letters: k (codebook), t (frame), n (sample)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from slmkit.api import Codes, CodeSpec, Segment, Text, Vocoder


def speak(
    pieces: Iterable[Segment], vocoder: Vocoder, spec: CodeSpec, speaker: Tensor | None = None
) -> Iterator[Tensor]:
    """Waves [n], to be joined, of the speech among the pieces of one answer (`stream`).

    With a vocoder that streams each comes as soon as its frames make it certain, some of them
    before the next piece is asked for; with any other the whole comes at the end. `spec` says what
    kind of codes the pieces hold, `speaker` [1, ..] in which voice they are spoken.
    """
    spoken = (_codes(piece, spec) for piece in pieces if not isinstance(piece, Text))
    said = (codes for codes in spoken if codes.values.shape[2])
    if not vocoder.streams:
        parts = list(said)
        if parts:
            with torch.inference_mode():
                wav, lengths = vocoder.synthesize(Codes.join(parts), speaker)
            yield wav[0, : int(lengths[0])]
        return
    state = None
    for codes in said:
        state = vocoder.empty_state(1, speaker) if state is None else state
        wav, state = vocoder.step(codes, state)
        if wav.shape[1]:
            yield wav[0]
    if state is not None:
        wav = vocoder.finish(state)
        if wav.shape[1]:
            yield wav[0]


def _codes(piece: Segment, spec: CodeSpec) -> Codes:
    """The codes of a piece of speech, [1, k, t]."""
    assert not isinstance(piece, Text), "text is not spoken"
    return Codes.pad([torch.from_numpy(piece.codes)], spec)
