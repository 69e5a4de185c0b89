"""The tokenizer `speechtokenizer-mini`: small, and with its weights.

`recipes/speechtokenizer.yaml`, profile `mini`, made them; `mini/README.md` says of what.
"""

from __future__ import annotations

from pathlib import Path

from slmkit.codecs.lean import options_of
from slmkit_speechtokenizer.plugin import SpeechTokenizerMiniOptions, SpeechTokenizerOptions
from slmkit_speechtokenizer.speechtokenizer import SpeechTokenizer

MINI = Path(__file__).parent / "mini"
"""What `slmkit export` wrote."""


class SpeechTokenizerMini(SpeechTokenizer):
    """SpeechTokenizer of 2 M weights, for a first try, tests and comparisons at small scale."""

    def __init__(self, options: SpeechTokenizerMiniOptions) -> None:
        sizes = {**options_of(MINI), "codebooks": options.codebooks}
        super().__init__(SpeechTokenizerOptions(**sizes))
        self.restore(MINI)
