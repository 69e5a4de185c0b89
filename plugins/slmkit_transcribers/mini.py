"""The transcriber `ctc-mini`: one that knows the synthesized world, with its weights.

`recipes/speechgpt.yaml` made them (slot `judge`); `mini/README.md` says of what.
"""

from __future__ import annotations

from pathlib import Path

from slmkit.api import NoOptions
from slmkit.codecs.lean import options_of
from slmkit_transcribers.ctc import Ctc
from slmkit_transcribers.plugin import CtcOptions

MINI = Path(__file__).parent / "mini"
"""What `slmkit export` wrote."""


class CtcMini(Ctc):
    """A judge of the corpus `spoken-qa` that need not be trained."""

    def __init__(self, options: NoOptions) -> None:
        super().__init__(CtcOptions(**options_of(MINI)))
        self.restore(MINI)
