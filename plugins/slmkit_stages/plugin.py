"""Stages that every recipe can use."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option


@dataclass
class FitOptions:
    """What is fitted, on how much."""

    slot: str = option("tokenizer", "the slot whose part is fitted: a speech tokenizer")
    utterances: int = option(2000, "at most so many training utterances are read")
    batch: int = option(32, "utterances of a batch")
    seed: int = option(0, "of the choice of utterances")

    def uses(self) -> tuple[str, ...]:
        """The slot itself."""
        return (self.slot,)

    def gives(self) -> tuple[str, ...]:
        """The slot itself, fitted."""
        return (self.slot,)


@dataclass
class TokenizeOptions:
    """How a corpus is coded."""

    deduplicate: bool = option(True, "merge equal neighbours of one-codebook units")
    batch_seconds: float = option(120.0, "seconds of audio in a batch, padding included")
    on_error: str = option("stop", "an utterance that cannot be read: stop, or skip and count it")


@dataclass
class TrainVocoderOptions:
    """How a unit vocoder is trained, and on whom."""

    roles: list[str] = option(
        help="roles of the utterances it learns from (answer: the assistant's voice); none: all",
        default_factory=lambda: ["answer"],
    )
    utterances: int = option(2000, "at most so many")
    steps: int = option(900, "steps")
    lr: float = option(2e-3, "peak learning rate")
    batch: int = option(8, "crops of a step")
    frames: int = option(32, "frames of a crop")
    mel: float = option(1.0, "weight of the mel loss")
    stft: float = option(1.0, "weight of the multi-resolution STFT loss")
    duration: float = option(0.1, "weight of the duration loss")
    adversarial: float = option(0.0, "weight of the adversarial loss; 0: no discriminators")
    feature: float = option(2.0, "weight of feature matching, with discriminators")
    weight_norm: bool = option(False, "train the convolutions under weight norm")
    decay: float = option(
        0.0, "multiplies the learning rate after each epoch; 0: it falls as a cosine instead"
    )
    voices: str | None = option(
        None, "slot of a speaker encoder, for a vocoder that reads its embeddings"
    )

    def uses(self) -> tuple[str, ...]:
        """The speaker encoder's slot, where there is one."""
        return (self.voices,) if self.voices else ()

    def can(self, base: Can) -> Can:
        """It tells names, and embeddings where it has an encoder."""
        return _telling(base, self.voices)


@dataclass
class FitVocoderOptions:
    """What a vocoder without gradients learns from."""

    roles: list[str] = option(
        help="roles of the utterances it learns from; none: all",
        default_factory=lambda: ["answer"],
    )
    utterances: int = option(500, "at most so many")


@dataclass
class TrainJudgeOptions:
    """How a transcriber is trained, and on what."""

    roles: list[str] = option(
        help="roles of the utterances it learns from (words: in random order, so that it cannot "
        "lean on sentences); none: all",
        default_factory=lambda: ["words", "question", "answer"],
    )
    sentences: int = option(
        2000, "at most so many utterances of roles other than words: how words run together"
    )
    steps: int = option(1200, "optimizer steps")
    lr: float = option(3e-3, "peak learning rate")
    batch_frames: int = option(6000, "log-mel frames (of 10 ms) in a batch, padding included")
    weight_decay: float = option(0.01, "of matrices")


@dataclass
class CheckJudgeOptions:
    """Which held-out audio the judge is held to."""

    splits: list[str] = option(help="of the utterances", default_factory=lambda: ["test"])
    roles: list[str] = option(
        help="roles of the utterances; none: all",
        default_factory=lambda: ["question", "answer"],
    )
    items: int = option(300, "at most so many of a split")


@dataclass
class CompareOptions:
    """Which held-out utterances the vocoders copy."""

    split: str = option("test", "of the utterances")
    roles: list[str] = option(
        help="roles of the utterances; none: all", default_factory=lambda: ["answer"]
    )
    items: int = option(100, "at most so many")
    voices: str | None = option(
        None,
        "slot of a speaker encoder: how alike voices are is measured, and a vocoder that reads "
        "its embeddings gets them",
    )

    def uses(self) -> tuple[str, ...]:
        """The vocoders, the judge, and the speaker encoder where there is one."""
        return ("vocoder", "baseline", "judge", *((self.voices,) if self.voices else ()))

    def can(self, base: Can) -> Can:
        """It tells names, and embeddings where it has an encoder."""
        return _telling(base, self.voices)


def _telling(base: Can, voices: str | None) -> Can:
    from dataclasses import replace

    told = ("speaker-name", "speaker-embedding") if voices else ("speaker-name",)
    return replace(base, conditioning=told)


@hookimpl
def slmkit_stages() -> list[Declaration]:
    return [*_of_data(), *_of_vocoders(), *_of_judges()]


def _of_data() -> list[Declaration]:
    return [
        Declaration(
            name="prepare",
            summary="write the corpus's audio, where it makes its own, and its manifest",
            target="slmkit_stages.prepare:prepare",
            uses=("corpus",),
            leaves=("manifest",),
            trains=False,
        ),
        Declaration(
            name="fit",
            summary="fit a tokenizer on the corpus's training audio",
            target="slmkit_stages.fit:fit",
            options=FitOptions,
            reads=("manifest",),
            trains=False,
        ),
        Declaration(
            name="tokenize",
            summary="code every utterance into the token store",
            target="slmkit_stages.tokenize:tokenize",
            options=TokenizeOptions,
            uses=("tokenizer",),
            reads=("manifest",),
            leaves=("codes",),
            trains=False,
        ),
    ]


def _of_vocoders() -> list[Declaration]:
    return [
        Declaration(
            name="train-vocoder",
            summary="train a unit vocoder on the corpus's units, by gradients",
            target="slmkit_stages.vocoder:train_vocoder",
            options=TrainVocoderOptions,
            gives=("vocoder",),
            reads=("manifest", "codes"),
        ),
        Declaration(
            name="fit-vocoder",
            summary="fit a vocoder on the corpus's units, by statistics",
            target="slmkit_stages.vocoder:fit_vocoder",
            options=FitVocoderOptions,
            gives=("vocoder",),
            reads=("manifest", "codes"),
            trains=False,
        ),
        Declaration(
            name="compare-vocoders",
            summary="two vocoders on the same held-out units: mel distance, STOI, the judge's WER",
            target="slmkit_stages.compare:compare_vocoders",
            options=CompareOptions,
            uses=("vocoder", "baseline", "judge"),
            reads=("manifest", "codes"),
            trains=False,
        ),
    ]


def _of_judges() -> list[Declaration]:
    return [
        Declaration(
            name="train-judge",
            summary="train a CTC transcriber on the corpus's audio, to judge by",
            target="slmkit_stages.judge:train_judge",
            options=TrainJudgeOptions,
            gives=("judge",),
            reads=("manifest",),
        ),
        Declaration(
            name="check-judge",
            summary="the judge's WER on held-out original audio, and on wrong texts (control)",
            target="slmkit_stages.judge:check_judge",
            options=CheckJudgeOptions,
            uses=("judge",),
            reads=("manifest",),
            trains=False,
        ),
    ]
