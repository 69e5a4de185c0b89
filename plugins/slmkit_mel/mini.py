"""The tokenizer `mel-km-mini`: units of the corpus `spoken-qa`, fitted.

`recipes/unit-hifigan.yaml` made them, and the vocoder that speaks them; `mini/README.md` says of
what.
"""

from __future__ import annotations

from pathlib import Path

from slmkit.api import NoOptions, Tokenizer
from slmkit.codecs.lean import options_of
from slmkit_mel.mel_km import MelKm
from slmkit_mel.plugin import MelKmOptions

MINI = Path(__file__).parent / "mini"
"""What `slmkit export` wrote."""


class MelKmMini(MelKm):
    """Units that are the same wherever they are asked for: `unit-hifigan-mini` speaks them."""

    fit = Tokenizer.fit

    def __init__(self, options: NoOptions) -> None:
        super().__init__(MelKmOptions(**options_of(MINI)))
        self.restore(MINI)
