"""The tasks of `spoken-digits`, in text: a key digit that says what to do, then the digits.

Single digits are all that is recorded, so the task is spoken as a digit as well:

    key    task      "KEY seven four nine" is answered
    one    repeat    "seven four nine"
    two    reverse   "nine four seven"
    three  largest   "nine"
    four   smallest  "four"
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import permutations
from typing import NamedTuple

from slmkit.api import OptionsError

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PAYLOADS = (2, 3)
"""Numbers of digits after the key. They are distinct, so that no reversal is a repetition."""

Words = tuple[str, ...]

TASKS: dict[str, tuple[str, Callable[[Words], Words]]] = {
    "repeat": ("one", lambda digits: digits),
    "reverse": ("two", lambda digits: digits[::-1]),
    "largest": ("three", lambda digits: (max(digits, key=DIGITS.index),)),
    "smallest": ("four", lambda digits: (min(digits, key=DIGITS.index),)),
}
"""Topic -> its key digit, and what it makes of the digits."""

TOPICS = tuple(TASKS)


class Question(NamedTuple):
    """A question and its answer, as digits."""

    topic: str
    asked: Words
    answer: Words


def question(topic: str, payload: Words) -> Question:
    """Ask for a task on a row of digits."""
    key, solve = TASKS[topic]
    return Question(topic, (key, *payload), solve(payload))


def every_question() -> list[Question]:
    """All questions there are, always in the same order."""
    return [
        question(topic, payload)
        for count in PAYLOADS
        for payload in permutations(DIGITS, count)
        for topic in TOPICS
    ]


def hold_out(seed: int, dev: int, test: int) -> dict[str, list[Words]]:
    """The digits that each split asks about: split -> payloads in random order.

    A row of digits and its reversal go to one split, so that what "dev" and "test" ask is asked
    nowhere else, and their repetitions and reversals are answers nowhere else. Raises
    OptionsError where `dev` and `test` questions leave nothing to learn from.
    """
    pairs = [p for count in PAYLOADS for p in permutations(DIGITS, count) if p < p[::-1]]
    random.Random(f"{seed} hold out").shuffle(pairs)
    counts = {"dev": -(-dev // len(TOPICS)), "test": -(-test // len(TOPICS))}
    if sum(counts.values()) >= len(pairs):
        raise OptionsError(
            [
                f"corpus 'spoken-digits': options 'dev' {dev} and 'test' {test} leave nothing to "
                f"learn from: together at most {len(TOPICS) * (len(pairs) - 2)}"
            ]
        )
    held = {}
    for split, count in counts.items():
        draw = random.Random(f"{seed} {split}")
        held[split] = [draw.choice((p, p[::-1])) for p in pairs[:count]]
        pairs = pairs[count:]
    train = [p for pair in pairs for p in (pair, pair[::-1])]
    random.Random(f"{seed} train").shuffle(train)
    return {"train": train, **held}
