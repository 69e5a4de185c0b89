"""The evaluation of codecs: its stages."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option
from slmkit.data.books import HELP, check_books


@dataclass(frozen=True)
class EvaluateCodecOptions:
    """What is copied, and who listens."""

    books: str = option("all", f"codebooks that are decoded: {HELP}")
    split: str = option("test", "of the utterances; of speakers unheard in training, where it can")
    items: int = option(100, "utterances that are copied, at most")
    judge: bool = option(True, "the slot 'judge' transcribes originals and copies")
    voices: bool = option(True, "the slot 'voices' compares the voices of originals and copies")
    sounds: int = option(3, "utterances whose sounds are kept for the report")
    label: str = option("", "stands before the names of its results, to tell evaluations apart")

    def __post_init__(self) -> None:
        check_books(self.books)

    def uses(self) -> tuple[str, ...]:
        """The tokenizer, and whoever listens."""
        listening = [name for name in ("judge", "voices") if getattr(self, name)]
        return ("tokenizer", *listening)


@dataclass(frozen=True)
class ConvertVoicesOptions:
    """Who speaks as whom."""

    split: str = option("test", "of the utterances; of speakers unheard in training, where it can")
    pairs: int = option(200, "pairs of a source and a reference of another speaker, at most")
    judge: bool = option(False, "the slot 'judge' hears whose words are said, too")
    sounds: int = option(3, "pairs whose sounds are kept for the report")
    label: str = option("", "stands before the names of its results, to tell evaluations apart")

    def uses(self) -> tuple[str, ...]:
        """The tokenizer, the encoder of voices, and the judge where there is one."""
        return ("tokenizer", "voices", *(["judge"] if self.judge else []))


@dataclass(frozen=True)
class ProbeCodecOptions:
    """What the probe reads, and how it learns to."""

    books: str = option("all", f"codebooks that are read: {HELP}")
    split: str = option("test", "of the utterances that are read once, at the end")
    width: int = option(256, "of the embeddings and of each direction of the LSTM")
    steps: int = option(2000, "optimizer steps")
    lr: float = option(2e-3, "peak learning rate")
    batch_frames: int = option(8000, "frames in a batch, padding included")
    shuffled_text: bool = option(
        False, "a control: what is learnt from has the text of another utterance"
    )
    label: str = option("", "stands before the names of its results, to tell probes apart")

    def __post_init__(self) -> None:
        check_books(self.books)


@dataclass(frozen=True)
class CompareProbesOptions:
    """Which two probes."""

    first: str = option(help="the stage of one probe")
    second: str = option(help="the stage of the other, whose error rate is taken off")
    label: str = option("", "stands before the names of its results, to tell comparisons apart")


@hookimpl
def slmkit_stages() -> list[Declaration]:
    return [
        Declaration(
            name="evaluate-codec",
            summary="copy held-out utterances: distances, quality, WER, voices, bits and time",
            target="slmkit_codec_evaluation.evaluate:evaluate",
            options=EvaluateCodecOptions,
            reads=("manifest", "codes"),
            can=Can(decodes=True),
            trains=False,
        ),
        Declaration(
            name="convert-voices",
            summary="first codebook of one speaker, others of another: whose voice is heard?",
            target="slmkit_codec_evaluation.convert:convert",
            options=ConvertVoicesOptions,
            source="SpeechTokenizer (Zhang et al. 2024)",
            reads=("manifest",),
            can=Can(decodes=True),
            trains=False,
        ),
        Declaration(
            name="probe-codec",
            summary="train a small recognizer on frozen codes: how much text is in them?",
            target="slmkit_codec_evaluation.probe:probe",
            options=ProbeCodecOptions,
            source="SLMTokBench (Zhang et al. 2024); SUPERB (Yang et al. 2021)",
            reads=("codes",),
            leaves=("probe",),
        ),
        Declaration(
            name="compare-probes",
            summary="the difference of two probes' WER over the same utterances, with its interval",
            target="slmkit_codec_evaluation.compare:compare",
            options=CompareProbesOptions,
            source="Bisani and Ney 2004",
            reads=("probe",),
            trains=False,
        ),
    ]
