"""The stage `train-codec`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slmkit.api import Can, Declaration, hookimpl, option
from slmkit.training.codec_options import CodecTraining


@dataclass(frozen=True)
class TrainCodecOptions(CodecTraining):
    """On whom a codec learns, from whom, and how."""

    roles: list[str] = option(
        help="roles of the utterances it learns from; none: all", default_factory=list
    )
    utterances: int = option(0, "at most so many, drawn by the seed; 0: all")
    checks: int = option(16, "at most so many held-out utterances (split dev) to check on")
    teacher: str = option(
        "", "the slot of what the first codebook learns from; empty: it is taught by none"
    )

    def uses(self) -> tuple[str, ...]:
        """The teacher's slot."""
        return (self.teacher,) if self.teacher else ()

    def gives(self) -> tuple[str, ...]:
        """The codec's."""
        return ("tokenizer",)

    def asks(self) -> Mapping[str, Mapping[str, Any]]:
        """A tokenizer that can learn, and a teacher that gives what is to be learnt."""
        taught = {"codebooks": 1} if self.lesson == "units" else {"teaches": True}
        return {"tokenizer": {"learns": True}, **({self.teacher: taught} if self.teacher else {})}


@hookimpl
def slmkit_stages() -> list[Declaration]:
    return [
        Declaration(
            name="train-codec",
            summary="train a codec by gradients and adversaries; a teacher for its first codebook",
            target="slmkit_codec_training.train:train_codec",
            options=TrainCodecOptions,
            reads=("manifest",),
            can=Can(decodes=True),
            source="EnCodec (Defossez et al. 2022), SpeechTokenizer (Zhang et al. 2023)",
        )
    ]
