"""The tokenizer `encodec-mini`: small, and with its weights.

`recipes/encodec.yaml`, profile `mini`, made them; `mini/README.md` says of what.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from slmkit.codecs.lean import options_of
from slmkit_encodec.encodec import Encodec
from slmkit_encodec.plugin import EncodecMiniOptions, EncodecOptions

MINI = Path(__file__).parent / "mini"
"""What `slmkit export` wrote."""


class EncodecMini(Encodec):
    """EnCodec of 2 M weights, for a first try, tests and comparisons at small scale."""

    def __init__(self, options: EncodecMiniOptions) -> None:
        super().__init__(EncodecOptions(**options_of(MINI)))
        self.restore(MINI)
        # all codebooks are there, and fewer are used, as of the published models
        self.options = replace(self.options, books=options.books)
        used = self.spec.codebook_sizes[: options.books]
        self.spec = replace(self.spec, codebook_sizes=used)
