"""The corpus `spoken-qa`: who says what, what is held out, and in what order it comes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from slmkit.api import Corpus, OptionsError, Progress, Utterance
from slmkit_spoken_qa import world
from slmkit_spoken_qa.studio import Recording, Take, record
from slmkit_spoken_qa.world import Question

if TYPE_CHECKING:
    from slmkit_spoken_qa.plugin import SpokenQaOptions

ASSISTANT = "en-us"
ASSISTANT_RATE, ASSISTANT_PITCH = 175, 50
HELD_OUT_VOICE = "en-us+f2"
"""Its pitch (190 Hz) and formants (1.1 of the assistant's) lie amid those of the known voices."""
VOICES = tuple(f"en-us+{v}" for v in ("m3", "f3", "m1", "f1", "Nguyen", "f4", "m4", "belinda"))
RATES, PITCHES = range(185, 221), range(40, 61)
WORDS_IN_A_ROW = range(4, 8)
WHERE = "corpus 'spoken-qa'"

Planned = tuple[Utterance, Take | None]


class SpokenQa(Corpus):
    """Spoken questions and answers over the small world of `slmkit_spoken_qa.world`.

    Speech comes from espeak-ng (GPL-3.0-or-later, through the extra `text`); the corpus is made
    anew on each machine, the same to the last sample for the same options. Splits:

    - "train": spoken questions in known voices, each with the assistant's answer.
    - "dev", "test": questions whose answers are never spoken in "train", in known voices.
    - "test-voice": the questions of "test" in a voice that is heard nowhere else.
    - "world": every question with its answer, held-out ones too, as text alone.

    Raises OptionsError where the options ask for what the world does not hold.
    """

    def __init__(self, options: SpokenQaOptions) -> None:
        faults = [
            f"{WHERE}: option '{name}' is {getattr(options, name)}, must be {low} or more"
            for name, low in (("questions", 1), ("dev", 0), ("test", 0), ("words", 0))
            if getattr(options, name) < low
        ]
        if not 1 <= options.voices <= len(VOICES):
            faults.append(
                f"{WHERE}: option 'voices' is {options.voices}, must be 1 to {len(VOICES)}"
            )
        if faults:
            raise OptionsError(faults)
        self.options = options
        self.spoken = hold_out(options.seed, options.dev, options.test)

    def utterances(self, folder: Path, progress: Progress) -> Iterator[Utterance]:
        planned = list(self.plan())
        takes = list(dict.fromkeys(take for _, take in planned if take is not None))
        recordings = record(takes, folder)
        made: dict[Take, Recording] = {}
        for utterance, take in planned:
            if take is None:
                yield utterance
                continue
            while take not in made:
                made[takes[len(made)]] = next(recordings)
                progress(len(made), len(takes), "speaking")
            yield _with_sound(utterance, made[take])

    def plan(self) -> Iterator[Planned]:
        """Every utterance and what is to be spoken for it, before any sound is made."""
        options = self.options
        known = VOICES[: options.voices]
        number = 0
        for split, count, voices in (
            ("train", options.questions, known),
            ("dev", options.dev, known),
            ("test", options.test, known),
            ("test-voice", options.test, (HELD_OUT_VOICE,)),
        ):
            pools = self.spoken["test" if split == "test-voice" else split]
            for i in range(count):
                pool = pools[world.TOPICS[i % len(world.TOPICS)]]
                question = pool[i // len(world.TOPICS) % len(pool)]
                draw = random.Random(f"{options.seed} {split} {i}")
                yield from _exchange(number, question, split, _manner(question.text, voices, draw))
                number += 1
        yield from self._words(known)
        yield from _reading()

    def _words(self, known: tuple[str, ...]) -> Iterator[Planned]:
        """The world's words dealt from a shuffled pack, so that each comes equally often.

        Every second utterance is the assistant's; letters are its alone, as in the answers.
        """
        draw = random.Random(f"{self.options.seed} words")
        packs: dict[bool, list[str]] = {True: [], False: []}
        vocabulary = world.words()
        for i in range(self.options.words):
            assistant = i % 2 == 0
            pack, count = packs[assistant], draw.choice(WORDS_IN_A_ROW)
            if len(pack) < count:
                deal = [word for word in vocabulary if assistant or len(word) > 1]
                pack[:0] = draw.sample(deal, len(deal))
            text = " ".join(pack.pop() for _ in range(count))
            take = _answering(text) if assistant else _manner(text, known, draw)
            split = {4: "dev", 9: "test"}.get(i // 2 % 10, "train")
            yield (
                Utterance(
                    f"words-{i:06d}", text=text, speaker=take.voice, split=split, role="words"
                ),
                take,
            )


def hold_out(seed: int, dev: int, test: int) -> dict[str, dict[str, list[Question]]]:
    """Split -> topic -> questions in random order.

    Whole facts are held out: what "dev" and "test" ask is asked nowhere else in any other words,
    and its answer is not spoken in "train" either. They hold one question a fact.
    """
    splits: dict[str, dict[str, list[Question]]] = {"train": {}, "dev": {}, "test": {}}
    for index, topic in enumerate(world.TOPICS):
        facts: dict[str, list[Question]] = {}
        for question in world.questions():
            if question.topic == topic:
                facts.setdefault(question.answer, []).append(question)
        draw = random.Random(f"{seed} {topic}")
        order = draw.sample(list(facts), len(facts))
        for split, total in (("dev", dev), ("test", test)):
            count = len(range(index, total, len(world.TOPICS)))
            if count >= len(order):
                raise OptionsError(
                    [f"{WHERE}: options 'dev' {dev} and 'test' {test} leave nothing to learn from"]
                )
            splits[split][topic] = [draw.choice(facts[order.pop()]) for _ in range(count)]
        left = [question for answer in order for question in facts[answer]]
        splits["train"][topic] = draw.sample(left, len(left))
    return splits


def _exchange(number: int, question: Question, split: str, take: Take) -> Iterator[Planned]:
    asked = Utterance(
        f"question-{number:06d}",
        text=question.text,
        speaker=take.voice,
        split=split,
        role="question",
        topic=question.topic,
    )
    answered = replace(
        asked,
        id=f"answer-{number:06d}",
        text=question.answer,
        speaker=ASSISTANT,
        role="answer",
        reply_to=asked.id,
    )
    yield asked, take
    yield answered, _answering(question.answer)


def _reading() -> Iterator[Planned]:
    """All questions with their answers as text."""
    for number, question in enumerate(world.questions()):
        asked = Utterance(
            f"read-question-{number:06d}",
            text=question.text,
            split="world",
            role="question",
            topic=question.topic,
        )
        yield asked, None
        yield (
            replace(
                asked,
                id=f"read-answer-{number:06d}",
                text=question.answer,
                role="answer",
                reply_to=asked.id,
            ),
            None,
        )


def _manner(text: str, voices: tuple[str, ...], draw: random.Random) -> Take:
    return Take(text, draw.choice(voices), draw.choice(RATES), draw.choice(PITCHES))


def _answering(text: str) -> Take:
    return Take(text, ASSISTANT, ASSISTANT_RATE, ASSISTANT_PITCH)


def _with_sound(utterance: Utterance, made: Recording) -> Utterance:
    return replace(
        utterance,
        audio=made.path,
        duration=made.duration,
        words=made.words,
        phones=made.phones,
    )
