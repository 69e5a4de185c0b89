"""Text to speech: its stages."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option
from slmkit.training.options import LmTraining


@dataclass(frozen=True)
class TrainTtsOptions(LmTraining):
    """How a model learns to say a text in the voice of a prompt."""

    roles: list[str] = option(
        help="roles of the utterances it learns from; none: all", default_factory=list
    )
    prompt_seconds: float = option(1.0, "at most so much of the same voice stands before; 0: none")


@dataclass
class EvaluateTtsOptions:
    """Held-out texts spoken, heard by the judge, and timed."""

    split: str = option("test", "of the texts and of the voices")
    roles: list[str] = option(help="roles of the utterances; none: all", default_factory=list)
    items: int = option(100, "texts that are spoken, at most")
    batch: int = option(25, "texts spoken side by side")
    timed: int = option(5, "texts spoken once more, alone, to take the time")
    prompt_seconds: float = option(1.0, "at most so much of the same voice stands before; 0: none")
    longest_seconds: float = option(6.0, "speech that has not ended by then is cut off")
    seconds_per_symbol: float = option(
        0.25,
        "speech longer than this for each symbol of its text, and a second, is cut off",
    )
    retries: int = option(0, "times that speech is drawn anew which is empty, endless or repeated")
    temperature: float = option(1.0, "0 takes the best token always")
    top_k: int = option(0, "keep the k best tokens; 0: all")
    top_p: float = option(1.0, "nucleus sampling; 1: all")
    refine_frames: int = option(
        0, "a refiner completes so many frames at a time as they come; 0: when all are there"
    )
    sounds: int = option(3, "texts whose sounds are kept for the report")
    label: str = option("", "stands before the names of its results, to tell strategies apart")


@hookimpl
def slmkit_stages() -> list[Declaration]:
    return [
        Declaration(
            name="train-tts",
            summary="train a language model to say texts in a given voice",
            target="slmkit_tts.train:train",
            options=TrainTtsOptions,
            source="VALL-E (Wang et al. 2023)",
            uses=("text", "backbone", "decoding"),
            reads=("manifest", "codes"),
            leaves=("lm",),
            trains=True,
        ),
        Declaration(
            name="evaluate-tts",
            summary="say held-out texts: the judge's WER, likeness of voices, steps and time",
            target="slmkit_tts.evaluate:evaluate",
            options=EvaluateTtsOptions,
            uses=("tokenizer", "judge", "voices"),
            reads=("manifest", "codes", "lm"),
            can=Can(decodes=True),
            trains=False,
        ),
    ]
