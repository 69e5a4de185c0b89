"""Hybrid decoding: its stages."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option
from slmkit.training.options import LmTraining

ARRANGEMENTS = ("text-first", "interleaved", "monologue", "ahead")
HELP = "text-first, interleaved (word by word), monologue (in time, beside) or ahead (beside)"


def check_arrangement(name: str) -> None:
    """Raise ValueError for an arrangement that there is not."""
    if name not in ARRANGEMENTS:
        raise ValueError(f"arrangement '{name}' is none of {', '.join(ARRANGEMENTS)}")


@dataclass(frozen=True)
class TrainHybridOptions(LmTraining):
    """How a model learns to answer questions in text and speech."""

    arrangement: str = option("text-first", HELP)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_arrangement(self.arrangement)


@dataclass
class EvaluateHybridOptions:
    """Held-out questions asked aloud, their answers read and heard."""

    split: str = option("test", "of the questions")
    items: int = option(100, "questions that are asked, at most")
    batch: int = option(25, "questions asked side by side")
    timed: int = option(5, "questions asked once more, alone, to take the time")
    longest_seconds: float = option(6.0, "speech that has not ended by then is cut off")
    label: str = option("", "stands before the names of its results, to tell arrangements apart")


@hookimpl
def slmkit_stages() -> list[Declaration]:
    dialogue = Can(dialogue=True)
    return [
        Declaration(
            name="train-hybrid",
            summary="train a model to answer spoken questions in text and speech together",
            target="slmkit_hybrid.train:train",
            options=TrainHybridOptions,
            source="Spectron (Nachmani et al. 2023), GLM-4-Voice (Zeng et al. 2024), Moshi "
            "(Defossez et al. 2024), Mini-Omni (Xie and Wu 2024)",
            uses=("text", "backbone", "decoding"),
            reads=("manifest", "codes"),
            leaves=("lm",),
            can=dialogue,
            trains=True,
        ),
        Declaration(
            name="evaluate-hybrid",
            summary="ask held-out questions: answers as read and as heard, and what they cost",
            target="slmkit_hybrid.evaluate:evaluate",
            options=EvaluateHybridOptions,
            uses=("vocoder", "judge"),
            reads=("manifest", "codes", "lm"),
            can=dialogue,
            trains=False,
        ),
    ]
