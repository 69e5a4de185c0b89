"""Whether the parts of a recipe fit each other, found out before any work.

A table of rules over what parts say they can do (`Can`). A rule looks at two parts that meet: a
stage reads both, or the recipe has only one of the first kind. Silence (None) fits everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from slmkit.api import Can, MisfitError, MissingDependencyError
from slmkit.host import Shelved, inner_parts
from slmkit.recipe.model import Recipe, Slot, Stage

VOCODER, EMBEDDING = "vocoder", "speaker-embedding"


@dataclass(frozen=True)
class Rule:
    """What two kinds of parts must agree on.

    Attributes:
        first, second: the kinds; "stage" as second stands for what a stage asks.
        misfit: the reason why two such parts do not fit, or nothing; `{first}` and `{second}`
            in it stand for their names.
    """

    first: str
    second: str
    misfit: Callable[[Can, Can], str | None]


def _codebooks(tokenizer: Can, other: Can) -> str | None:
    if _differ(tokenizer.codebooks, other.codebooks):
        return (
            f"{{first}} gives codes of {_count(tokenizer.codebooks)}, "
            f"{{second}} takes {other.codebooks}"
        )
    return None


def _sample_rate(tokenizer: Can, vocoder: Can) -> str | None:
    if _differ(tokenizer.sample_rate, vocoder.sample_rate):
        return (
            f"{{first}} codes sound of {tokenizer.sample_rate} Hz, "
            f"{{second}} speaks at {vocoder.sample_rate} Hz"
        )
    return None


def _frame_rate(tokenizer: Can, vocoder: Can) -> str | None:
    if _differ(tokenizer.frame_rate, vocoder.frame_rate):
        return (
            f"{{first}} gives {tokenizer.frame_rate:g} frames a second, "
            f"{{second}} takes {vocoder.frame_rate:g}"
        )
    return None


def _merged(tokenizer: Can, vocoder: Can) -> str | None:
    if tokenizer.deduplicated and vocoder.deduplicated is False:
        return "{first} merges equal units, and {second} cannot tell how long each lasts"
    return None


def _sound(corpus: Can, tokenizer: Can) -> str | None:
    return None if corpus.audio else "{first} has no sound that {second} could encode"


def _dialogue(corpus: Can, stage: Can) -> str | None:
    if stage.dialogue and not corpus.dialogue:
        return "{second} needs questions with answers, and {first} has none"
    return None


def _decoder(tokenizer: Can, stage: Can) -> str | None:
    if stage.decodes and not tokenizer.decodes:
        return "{second} needs a tokenizer that decodes by itself, and {first} does not"
    return None


RULES = (
    Rule("tokenizer", "vocoder", _codebooks),
    Rule("tokenizer", "vocoder", _sample_rate),
    Rule("tokenizer", "vocoder", _frame_rate),
    Rule("tokenizer", "vocoder", _merged),
    Rule("tokenizer", "decoding", _codebooks),
    Rule("tokenizer", "layout", _codebooks),
    Rule("tokenizer", "refiner", _codebooks),
    Rule("tokenizer", "stage", _codebooks),
    Rule("tokenizer", "stage", _decoder),
    Rule("corpus", "tokenizer", _sound),
    Rule("corpus", "stage", _dialogue),
)


def check_fit(recipe: Recipe) -> None:
    """Raise MisfitError with every reason why parts of a recipe cannot work together."""
    reasons = [*_standing_in(recipe), *_voices(recipe)]
    for rule in RULES:
        for first, second in _meetings(recipe, rule):
            if reason := rule.misfit(first.can, second.can):
                names = (_name(first), _name(second))
                reasons.append(reason.format(first=names[0], second=names[1]))
    reasons += [reason for stage in recipe.stages.values() for reason in _lacking(recipe, stage)]
    if reasons:
        lines = [f"{recipe.path}: {reason}" for reason in dict.fromkeys(reasons)]
        raise MisfitError("\n".join(lines))


def _lacking(recipe: Recipe, stage: Stage) -> Iterator[str]:
    """What a stage's options ask of the parts in its slots, and those have not."""
    asks = getattr(stage.options, "asks", None)
    for slot, wanted in (asks() if callable(asks) else {}).items():
        found = recipe.slots[stage.slot(slot)]
        for ability, value in wanted.items():
            has = getattr(found.can, ability)
            if has not in (None, value):
                yield (
                    f"{_name(stage)} asks of its slot '{slot}' {ability}={value}, and "
                    f"{_name(found)} has {ability}={has}"
                )


def check_available(recipe: Recipe, stages: list[str]) -> None:
    """Raise MissingDependencyError for what these stages need and is not installed."""
    lines = []
    for name in stages:
        stage = recipe.stages[name]
        slots = [recipe.slots[name] for name in stage.touched]
        held = [part for slot in slots for part in _held(slot.options)]
        for part in (stage.shelved, *(slot.shelved for slot in slots), *held):
            if part.missing:
                needed = ", ".join(part.missing)
                lines.append(f"{part.kind} '{part.name}' needs {needed}: {part.mend}")
    if lines:
        raise MissingDependencyError("\n".join(dict.fromkeys(lines)))


def _held(options: Any) -> Iterator[Shelved]:
    """The parts that options hold, and those that theirs hold."""
    for shelved, inner in inner_parts(options).values():
        yield shelved
        yield from _held(inner)


def _standing_in(recipe: Recipe) -> Iterator[str]:
    """Why a tokenizer cannot stand where a stage is due a vocoder: it decodes, and is no vocoder
    that could be trained."""
    for stage in recipe.stages.values():
        if VOCODER not in (*stage.uses, *stage.gives):
            continue
        slot = recipe.slots[stage.slot(VOCODER)]
        if slot.shelved.kind == "tokenizer" and VOCODER in stage.gives:
            yield f"{_name(stage)} makes a vocoder, which {_name(slot)} is not"
        elif slot.shelved.kind == "tokenizer" and not slot.can.decodes:
            yield f"{_name(stage)} needs a vocoder, and {_name(slot)} does not decode by itself"
        elif slot.shelved.kind not in (VOCODER, "tokenizer"):
            yield f"{_name(stage)} needs a vocoder, and gets {_name(slot)}"


def _voices(recipe: Recipe) -> Iterator[str]:
    """Why a vocoder gets no voice, or one that it cannot take."""
    for stage in recipe.stages.values():
        made = {stage.slot(name) for name in stage.gives}
        told = set(stage.can.conditioning)
        for slot in _of_kind(recipe, VOCODER, stage.touched):
            due = slot.can.conditioning if slot.name in made else slot.can.needs
            if missing := set(due) - told:
                yield (
                    f"{_name(slot)} speaks in voices, and {_name(stage)} tells it none by "
                    f"{missing.pop()}: {_mend(slot.name in made, due)}"
                )
            elif slot.name in made and EMBEDDING in told - set(slot.can.conditioning):
                yield (
                    f"{_name(stage)} tells voices by a speaker encoder, and {_name(slot)} does not "
                    "read its embeddings: set speaker_width, or leave out `voices`"
                )


def _mend(learns: bool, due: tuple[str, ...]) -> str:
    if EMBEDDING in due and learns:
        return "name the slot of a speaker encoder, `voices: SLOT`"
    return "give the vocoder a `voice` of its own"


def _meetings(recipe: Recipe, rule: Rule) -> Iterator[tuple[Slot, Slot | Stage]]:
    """The pairs that a rule is about. Where several firsts could be meant, none is."""
    everywhere = _of_kind(recipe, rule.first, list(recipe.slots))
    for stage in recipe.stages.values():
        here = _of_kind(recipe, rule.first, stage.touched)
        firsts = here if here else everywhere
        if len(firsts) != 1:
            continue
        if rule.second == "stage":
            # a stage asks nothing of a part that it neither reads nor could have meant
            yield firsts[0], stage
        else:
            for second in _of_kind(recipe, rule.second, stage.touched):
                yield firsts[0], second


def _of_kind(recipe: Recipe, kind: str, slots: list[str]) -> list[Slot]:
    found = [recipe.slots[name] for name in slots]
    return [slot for slot in found if slot.shelved.kind == kind]


def _name(party: Slot | Stage) -> str:
    if isinstance(party, Stage):
        return f"stage '{party.name}'"
    kind = party.shelved.kind
    slot = "" if party.name == kind else f" (slot '{party.name}')"
    return f"{kind} '{party.shelved.name}'{slot}"


def _differ(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and one != other


def _count(codebooks: int | None) -> str:
    return "1 codebook" if codebooks == 1 else f"{codebooks} codebooks"
