"""The vocoder `unit-hifigan-mini`: it speaks the units of `mel-km-mini`, in many voices.

`recipes/unit-hifigan.yaml` made its weights; `mini/README.md` says of what.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from slmkit.api import CodeSpec, MisfitError
from slmkit.codecs.lean import options_of
from slmkit_hifigan.plugin import UnitHifiGanMiniOptions, UnitHifiGanOptions
from slmkit_hifigan.vocoder import UnitHifiGanVocoder

MINI = Path(__file__).parent / "mini"
"""What `slmkit export` wrote."""

UNITS = 400
"""Of `mel-km-mini`."""


class UnitHifiGanMini(UnitHifiGanVocoder):
    """A unit HiFi-GAN that has learnt nine synthesized voices, and takes others by embedding."""

    def __init__(self, options: UnitHifiGanMiniOptions, spec: CodeSpec) -> None:
        if spec.codebook_sizes[0] > UNITS:
            raise MisfitError(
                f"unit-hifigan-mini: it speaks the {UNITS} units of mel-km-mini, not those of a "
                f"tokenizer of {spec.codebook_sizes[0]}"
            )
        sizes = {**options_of(MINI), "voice": options.voice}
        super().__init__(UnitHifiGanOptions(**sizes), replace(spec, codebook_sizes=(UNITS,)))
        self.restore(MINI)
