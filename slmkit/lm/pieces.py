"""Segments that come in pieces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slmkit.api import Segment, Speech, Text


def join(pieces: Sequence[Segment]) -> list[Segment]:
    """Neighbouring pieces of text, and of speech, made one.

    Speech that begins anew is told by a piece without frames, so that two utterances in a row stay
    two.
    """
    joined: list[Segment] = []
    for piece in pieces:
        before = joined[-1] if joined else None
        same = before is not None and before.learn == piece.learn
        grows = isinstance(piece, Speech) and piece.codes.shape[1] > 0
        if isinstance(piece, Text) and isinstance(before, Text) and same:
            joined[-1] = Text(before.text + piece.text, before.learn)
        elif isinstance(piece, Speech) and isinstance(before, Speech) and same and grows:
            joined[-1] = Speech(np.concatenate([before.codes, piece.codes], axis=1), before.learn)
        else:
            joined.append(piece)
    return joined
