"""Segments that come in pieces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slmkit.api import Aligned, Segment, Speech, Text

SILENT = -1
"""In a stream of text beside speech: no text begins at this frame."""


def join(pieces: Sequence[Segment]) -> list[Segment]:
    """Neighbouring pieces of text, and of speech, made one.

    Speech that begins anew is told by a piece without frames, so that two utterances in a row stay
    two; frames with text beside them and frames without make one `Aligned`.
    """
    joined: list[Segment] = []
    for piece in pieces:
        before = joined[-1] if joined else None
        same = before is not None and before.learn == piece.learn
        grows = not isinstance(piece, Text) and piece.codes.shape[1] > 0
        if isinstance(piece, Text) and isinstance(before, Text) and same:
            joined[-1] = Text(before.text + piece.text, before.learn)
        elif (
            not isinstance(piece, Text) and isinstance(before, Speech | Aligned) and same and grows
        ):
            joined[-1] = _longer(before, piece)
        else:
            joined.append(piece)
    return joined


def _longer(before: Speech | Aligned, after: Speech | Aligned) -> Speech | Aligned:
    """One utterance of two pieces."""
    codes = np.concatenate([before.codes, after.codes], axis=1)
    if isinstance(before, Speech) and isinstance(after, Speech):
        return Speech(codes, before.learn)
    words = [
        each.text_ids if isinstance(each, Aligned) else np.full(each.codes.shape[1], SILENT)
        for each in (before, after)
    ]
    return Aligned(np.concatenate(words), codes, before.learn)
