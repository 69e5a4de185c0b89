"""Declarations: what a plugin says about a part before anything heavy is imported."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import Any

KINDS = (
    "corpus",
    "text",
    "tokenizer",
    "vocoder",
    "backbone",
    "layout",
    "head",
    "refiner",
    "decoding",
    "transcriber",
    "speaker-encoder",
    "metric",
    "stage",
)


@dataclass(frozen=True)
class NoOptions:
    """A part that has nothing to choose."""


@dataclass(frozen=True)
class Can:
    """What a part can do; None means "any", or that the question does not arise.

    Of a stage, `codebooks`, `decodes` and `dialogue` say what it asks of the tokenizer and the
    corpus that it meets.

    Attributes:
        codebooks: how many codebooks it gives or takes.
        codebook_size: number of codes of each codebook, where all have as many.
        sample_rate: of the wave that it takes or gives, Hz.
        frame_rate: frames a second, Hz.
        deduplicated: whether it takes merged units (and predicts their durations).
        streaming: whether it has `step(input, state)`.
        causal: whether a frame depends on nothing after it.
        decodes: for a tokenizer, whether it turns its codes back into a wave by itself.
        semantic_first: for a tokenizer, whether its first codebook holds what is said and the
            others how it sounds, so that the two can be taken from different speakers.
        teaches: whether it is a `Teacher`: gives features that a codec can learn from.
        learns: for a tokenizer, whether it can be trained: gradients pass through its codes.
        conditioning: what it can be conditioned on ("text", ...); of a vocoder, how it is told a
            voice ("speaker-embedding", "speaker-name"); of a stage, how it tells one.
        needs: what of this must be given, because it has nothing of its own to fall back on.
        audio: for a corpus, whether it has sound (False: text alone).
        dialogue: for a corpus, whether it has questions with answers.
    """

    codebooks: int | None = None
    codebook_size: int | None = None
    sample_rate: int | None = None
    frame_rate: float | None = None
    deduplicated: bool | None = None
    streaming: bool = False
    causal: bool | None = None
    decodes: bool = False
    semantic_first: bool = False
    teaches: bool = False
    learns: bool = False
    conditioning: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    audio: bool = True
    dialogue: bool = False


@dataclass(frozen=True)
class Declaration:
    """One part on a shelf.

    Attributes:
        name: lower case with dashes; unique in its kind over all installed packages.
        summary: one line, for tables.
        target: "module:Class" (a stage: "module:function"), imported when first used.
        options: a dataclass whose fields carry defaults and `help` (see `option`).
        can: what it can do; an options class may refine it with a method `can(self, base)`.
        requires: import names of what it needs beyond slmkit's core.
        extra: the extra of its distribution that installs those, if any.
        mend: the command that installs those where neither an extra nor their names would do.
        source: where the idea comes from (paper, checkpoint).
        licence: SPDX identifier of the code and weights that it brings.
        weights_licence: of published weights that it loads and does not bring.
        revision: raised by its author whenever the same options give another result.
        uses: for a stage, the slots of the recipe that it reads ("tokenizer", "text", ...); an
            options class may answer instead with methods `uses(self)` and `gives(self)`. A method
            `asks(self)` says what the parts in its slots must be able to: {"judge": {"teaches":
            True}} (fields of `Can`); a recipe of others is refused before any work.
        gives: for a stage, the slots whose fitted part it leaves in its folder.
        reads: for a stage, what it must find among the stages above beside fitted parts: names of
            files or folders that they leave ("manifest", "codes", "lm", ...).
        leaves: for a stage, the names of files or folders in its own folder that others may read.
        trains: for a stage, whether the recipe's `trainer:` options reach it; one that says
            False is not run again when they change.
    """

    name: str
    summary: str
    target: str
    options: type[Any] = NoOptions
    can: Can = field(default_factory=Can)
    requires: tuple[str, ...] = ()
    extra: str | None = None
    mend: str | None = None
    source: str = ""
    licence: str = "Apache-2.0"
    weights_licence: str = ""
    revision: int = 1
    uses: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    trains: bool = True

    def abilities(self, options: Any) -> Can:
        """What the part can do with these options."""
        refine = getattr(options, "can", None)
        return refine(self.can) if callable(refine) else self.can

    def slots(self, options: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """For a stage, the slots that it uses and those that it gives with these options."""
        uses, gives = getattr(options, "uses", None), getattr(options, "gives", None)
        return (
            tuple(uses()) if callable(uses) else self.uses,
            tuple(gives()) if callable(gives) else self.gives,
        )


def option(default: Any = MISSING, help: str = "", **kwargs: Any) -> Any:
    """A dataclass field with a help text, shown by `slmkit show` and in the docs.

    Mutable defaults are given by `default_factory=`. Without any default the option is required.
    """
    metadata = {"help": help}
    if default is MISSING:
        return field(metadata=metadata, **kwargs)
    return field(default=default, metadata=metadata, **kwargs)


def part_option(kind: str, default: str, help: str) -> Any:
    """An option that is a part itself, such as the tokenizer that another one wraps.

    Its value is what a slot of a recipe holds: `{part: NAME, ...options}`; its field is of type
    `dict[str, Any]`. The host checks it, builds the part, and gives it to the class as a keyword
    argument of the field's name: `cls(options, inner=part)`.
    """
    metadata = {"help": help, "part": kind}
    return field(default_factory=lambda: {"part": default}, metadata=metadata)


def parts_of(options: type[Any]) -> dict[str, str]:
    """The kind of part that each `part_option` of a dataclass holds."""
    return {f.name: f.metadata["part"] for f in fields(options) if "part" in f.metadata}


def help_of(options: type[Any]) -> dict[str, str]:
    """The help text of each option of a dataclass."""
    return {f.name: f.metadata.get("help", "") for f in fields(options)}
