"""SpeechGPT: its templates, data and stages."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option
from slmkit.training.options import LmTraining

SOURCE = "SpeechGPT (Zhang et al. 2023, arXiv 2305.11000)"


@dataclass
class TextOptions:
    """The text tokenizer's training."""

    style: str = option("short", "spelling of the dialogues: paper, released or short")


@dataclass(frozen=True)
class TrainOptions(LmTraining):
    """One stage of training; the model comes from the stage above, or is new."""

    tasks: dict[str, int] = option(
        help="what to learn and how many copies of it: world, speech, transcribe, speak, text, "
        "chain, direct, or one format of the last two such as chain-speech-speech; "
        "text/color: of one topic alone",
        default_factory=dict,
    )
    style: str = option("short", "spelling of the dialogues: paper, released or short")
    longest: int = option(1024, "longer examples are cut here")
    block: int = option(0, "join speech-only examples into blocks of so many tokens; 0: do not")
    lora_rank: int = option(0, "rank of LoRA on the attention projections; 0: train everything")
    lora_alpha: float = option(16.0, "scale of LoRA")
    lora_dropout: float = option(0.05, "dropout inside LoRA")
    lora_targets: list[str] = option(
        help="projections that LoRA adapts",
        default_factory=lambda: ["q_proj", "k_proj", "v_proj", "o_proj"],
    )
    adapter: str | None = option(
        None, "folder of a published LoRA adapter (peft) to fold in before training"
    )


@dataclass
class EvaluateOptions:
    """Held-out questions asked in every format, judged and counted."""

    style: str = option("short", "spelling of the dialogues: paper, released or short")
    prompting: str = option("chain", "chain (chain of modality) or direct")
    splits: list[str] = option(
        help="splits to ask from", default_factory=lambda: ["test", "test-voice"]
    )
    formats: list[str] = option(
        help="formats to ask in: speech-speech, speech-text, text-speech, text-text",
        default_factory=lambda: ["speech-speech", "speech-text", "text-speech", "text-text"],
    )
    items: int = option(300, "questions of a split, the first so many")
    batch: int = option(50, "questions asked side by side")
    temperature: float = option(0.0, "0 takes the best token always")
    top_k: int = option(0, "keep the k best tokens; 0: all")
    top_p: float = option(1.0, "nucleus sampling; 1: all")
    longest: int = option(256, "most tokens of an answer")
    label: str = option("", "stands before the names of its results, to tell evaluations apart")
    sounds: int = option(6, "questions of a split whose sounds are kept for the report")


@hookimpl
def slmkit_stages() -> list[Declaration]:
    return [
        Declaration(
            name="speechgpt-text",
            summary="fit the text tokenizer on the corpus and the dialogues' own words",
            target="slmkit_speechgpt.fit_text:fit_text",
            options=TextOptions,
            uses=("text",),
            gives=("text",),
            reads=("manifest",),
            trains=False,
        ),
        Declaration(
            name="speechgpt-train",
            summary="one stage of SpeechGPT's training: world, modality, cross-modal, chain",
            target="slmkit_speechgpt.train:train",
            options=TrainOptions,
            source=SOURCE,
            uses=("text", "backbone", "decoding"),
            reads=("manifest", "codes"),
            leaves=("lm",),
            trains=True,
        ),
        Declaration(
            name="speechgpt-evaluate",
            summary="held-out questions in every format: transcripts, answers, spoken replies",
            target="slmkit_speechgpt.evaluate:evaluate",
            options=EvaluateOptions,
            source=SOURCE,
            can=Can(dialogue=True),
            uses=("vocoder", "judge"),
            reads=("manifest", "codes", "lm"),
            leaves=("report.json",),
            trains=False,
        ),
    ]
