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
    goes_on: bool = option(
        False,
        "as VALL-E was published: speech goes on from a whole voice, whose words begin the text, "
        "and both are learnt; else a voice stands before, cut, and its words are untold",
    )
    kept: int = option(0, "models kept in the course of the training, at equal distances")


@dataclass
class EvaluateTtsOptions:
    """Held-out texts spoken, heard by the judge, and timed."""

    split: str = option("test", "of the texts and voices; several in turn: test+test-voice")
    roles: list[str] = option(help="roles of the utterances; none: all", default_factory=list)
    items: int = option(100, "texts that are spoken, at most")
    batch: int = option(25, "texts spoken side by side")
    timed: int = option(5, "texts spoken once more, alone, to take the time")
    prompt_seconds: float = option(1.0, "at most so much of the same voice stands before; 0: none")
    tell_voice: bool = option(
        True, "false: the model is not given the voice to which it is compared, as a control"
    )
    longest_seconds: float = option(6.0, "speech that has not ended by then is cut off")
    seconds_per_symbol: float = option(
        0.25,
        "speech longer than this for each symbol of its text, and a second, is cut off",
    )
    draws: int = option(
        1, "times that each text is said; the judge's best is reported beside the first"
    )
    together: int = option(
        8, "texts spoken at once, and one after the other, to take the throughput; 0: not taken"
    )
    retries: int = option(0, "times that speech is drawn anew which is empty, endless or repeated")
    temperature: float = option(1.0, "0 takes the best token always")
    top_k: int = option(0, "keep the k best tokens; 0: all")
    top_p: float = option(1.0, "nucleus sampling; 1: all")
    refine_frames: int = option(
        0, "a refiner completes so many frames at a time as they come; 0: when all are there"
    )
    follow: int = option(
        0, "texts said by each model that was kept in the course of the training, for its WER"
    )
    sounds: int = option(3, "texts whose sounds are kept for the report")
    label: str = option("", "stands before the names of its results, to tell strategies apart")

    def __post_init__(self) -> None:
        if not all(self.splits):
            raise ValueError(f"split '{self.split}' is spelt like 'test' or 'test+test-voice'")
        if self.draws < 1 or self.items < 1 or self.batch < 1 or self.together < 0:
            raise ValueError("draws, items and batch are at least 1, together at least 0")
        if self.draws > 1 and (self.temperature == 0 or self.top_k == 1):
            raise ValueError(
                f"draws {self.draws}: the best token always says the same; give a temperature "
                f"above 0, or one draw"
            )

    @property
    def splits(self) -> list[str]:
        """The names of the splits."""
        return self.split.split("+")


@dataclass
class CompareTtsOptions:
    """Stages that spoke, and how their models learnt."""

    said: list[str] = option(
        help="stages evaluate-tts, one a design; named by their labels", default_factory=list
    )
    learnt: list[str] = option(
        help="the stages train-tts of their models, in the same order; none: no curves",
        default_factory=list,
    )

    def __post_init__(self) -> None:
        if len(self.said) < 2:
            raise ValueError("said: names two stages or more, to compare them")
        if self.learnt and len(self.learnt) != len(self.said):
            raise ValueError("learnt: names as many stages as said, in the same order")


@dataclass
class ListeningFormOptions:
    """What listeners are to score."""

    said: list[str] = option(
        help="stages evaluate-tts, one a design; named by their labels", default_factory=list
    )
    texts: int = option(8, "texts that every design has said, at most")

    def __post_init__(self) -> None:
        if not self.said or self.texts < 1:
            raise ValueError("said: names a stage or more, and texts is at least 1")


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
            revision=2,
        ),
        Declaration(
            name="compare-tts",
            summary="what models said of the same texts: paired differences, curves and bars",
            target="slmkit_tts.compare:compare",
            options=CompareTtsOptions,
            source="intervals: Bisani and Ney 2004",
            trains=False,
        ),
        Declaration(
            name="listening-form",
            summary="a form for opinion scores (MOS, SMOS) of what models said, designs hidden",
            target="slmkit_tts.listening:listen",
            options=ListeningFormOptions,
            source="ITU-T P.800 (MOS); VALL-E (Wang et al. 2023): SMOS, half steps",
            trains=False,
        ),
    ]
