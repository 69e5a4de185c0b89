"""A training example is a list of segments; so is a prompt.

Templates of SpeechGPT, prompt and target of USLM, speech alone, interleaved spans: all are
lists of `Text` and `Speech`; `learn` says whether the loss counts there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Text:
    """Text, or a special token spelt out (`<eoh>`); specials inside are recognized."""

    text: str
    learn: bool = False

    def _repr_html_(self) -> str:
        from slmkit.drawing.segments import text_html

        return text_html(self.text, self.learn)


@dataclass(frozen=True, eq=False)
class Speech:
    """Codes [k, t] of one utterance (int64, coarse codebook first).

    One that does not end (`ends=False`), at the end of a prompt, goes on in the answer: a voice to
    speak on in, or without frames the wish that speech comes next.
    """

    codes: np.ndarray
    learn: bool = False
    ends: bool = True

    def _repr_html_(self) -> str:
        from slmkit.drawing.segments import speech_html

        return speech_html(self.codes.tolist(), self.learn, self.ends)


@dataclass(frozen=True, eq=False)
class Aligned:
    """Text in a stream beside the speech: an id of the text tokenizer for each frame [t], -1 where
    none is due, and codes [k, t]."""

    text_ids: np.ndarray
    codes: np.ndarray
    learn: bool = False

    def _repr_html_(self) -> str:
        from slmkit.drawing.segments import aligned_html

        return aligned_html(self.text_ids.tolist(), self.codes.tolist(), self.learn)


Segment = Text | Speech | Aligned
Segments = Sequence[Segment]
