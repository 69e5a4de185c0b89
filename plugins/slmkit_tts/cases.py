"""What a model of text to speech is asked when it is judged: a text, and a voice to say it in."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from slmkit.api import DataError, Segments, Utterance
from slmkit.data.store import TokenStore
from slmkit.lm.vocabulary import Vocabulary
from slmkit_tts.examples import Spoken, spoken
from slmkit_tts.plugin import EvaluateTtsOptions

SHORTEST_PROMPT = 1.0
"""Seconds of a recording below which it shows little of a voice, and no case takes it for one."""


@dataclass(frozen=True)
class Case:
    """One text to be said.

    Attributes:
        utterance: with the text, as its speaker truly said it.
        voice: another utterance of the speaker, the prompt; None where no voice is told.
        stranger: an utterance of another speaker, to which the answer should be less alike.
        known: whether the speaker occurs in the split "train".
    """

    utterance: Utterance
    voice: Utterance | None
    stranger: Utterance | None
    known: bool


def cases_of(
    options: EvaluateTtsOptions,
    utterances: Sequence[Utterance],
    store: TokenStore,
    vocabulary: Vocabulary,
    goes_on: bool = False,
) -> tuple[Spoken, list[Case]]:
    """The cases of all splits that are named, taken in turn, the same for every model that is asked
    in one way. Raises DataError where a split has none, or a text cannot be read."""
    given = options.roles, options.prompt_seconds, goes_on
    splits = [spoken(utterances, store, name, *given) for name in options.splits]
    every = list(chain.from_iterable(each.utterances for each in splits))
    shortest = min(SHORTEST_PROMPT, options.prompt_seconds)
    fit = [one for one in every if splits[0].seconds(one) >= shortest]
    heard = {one.speaker for one in utterances if one.split == "train"} - {None}
    draw = random.Random(0)
    found = []
    for utterance, voice in _in_turn([list(each.pairs(0, shortest)) for each in splits]):
        strangers = [one for one in fit if {None, utterance.speaker}.isdisjoint({one.speaker})]
        # drawn for every case, so that one without a voice does not move those after it
        stranger = draw.choice(strangers) if strangers and utterance.speaker else None
        stranger = stranger if voice else None
        found.append(Case(utterance, voice, stranger, utterance.speaker in heard))
    found = found[: options.items]
    for case in found:
        _check_text(case.utterance, vocabulary)
    return splits[0], found


def questions(options: EvaluateTtsOptions, of: Spoken, cases: Sequence[Case]) -> list[Segments]:
    """How a model is asked for each."""
    return [of.question(c.utterance, c.voice if options.tell_voice else None) for c in cases]


def _in_turn(
    splits: Sequence[Sequence[tuple[Utterance, Utterance | None]]],
) -> Iterator[tuple[Utterance, Utterance | None]]:
    """The first of each split, the second of each, and so on."""
    for row in zip_longest(*splits):
        yield from (each for each in row if each is not None)


def _check_text(utterance: Utterance, vocabulary: Vocabulary) -> None:
    """Raise DataError for a text that the model cannot read, before anything is spoken."""
    try:
        vocabulary.text.encode(utterance.text or "")
    except DataError as error:
        raise DataError(
            f"utterance '{utterance.id}': its text cannot be read: {error} (leave it out, or take "
            f"a text tokenizer that knows it)"
        ) from error
