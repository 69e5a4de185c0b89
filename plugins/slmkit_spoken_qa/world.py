"""A small world and everything that one can ask about it: six kinds of question, ~150 words.

Lower case, no punctuation, no digits. Letters stand only in answers, so that nothing but the
assistant's own voice ever has to be told apart by the letters' short and similar names.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import permutations
from typing import NamedTuple

TOPICS = ("arithmetic", "compare", "spell", "opposite", "color", "repeat")

_COUNTING = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen twenty
"""
NUMBERS = tuple(_COUNTING.split())
OPPOSITES = (
    ("hot", "cold"),
    ("big", "small"),
    ("fast", "slow"),
    ("old", "new"),
    ("up", "down"),
    ("left", "right"),
    ("good", "bad"),
    ("long", "short"),
    ("early", "late"),
    ("hard", "soft"),
    ("wet", "dry"),
    ("near", "far"),
    ("full", "empty"),
    ("happy", "sad"),
    ("open", "closed"),
    ("loud", "quiet"),
)
COLORS = {
    "red": ("blood", "rose"),
    "green": ("grass", "leaf", "frog"),
    "blue": ("sky", "sea"),
    "yellow": ("sun", "corn", "lemon"),
    "white": ("milk", "salt", "rice"),
    "black": ("ink", "pepper", "night"),
    "brown": ("mud", "bear"),
}
COLOR_OF = {thing: color for color, things in COLORS.items() for thing in things}
OPPOSITE_OF = {a: b for pair in OPPOSITES for a, b in (pair, pair[::-1])}
CONTENT_WORDS = (*NUMBERS, *OPPOSITE_OF, *COLORS, *COLOR_OF)

QUESTIONS_OF_TOPIC = 800
"""About how many questions a kind with more combinations than that keeps."""


class Question(NamedTuple):
    """A question and its answer. The answer names the fact: same answer, same fact."""

    topic: str
    text: str
    answer: str


@cache
def questions() -> tuple[Question, ...]:
    """Every question of the world, kind by kind, always the same ones in the same order."""
    return tuple(
        Question(topic, text, answer)
        for topic, facts in zip(
            TOPICS,
            (_arithmetic(), _compare(), _spell(), _opposite(), _color(), _repeat()),
            strict=True,
        )
        for answer, texts in facts
        for text in texts
    )


@cache
def words() -> tuple[str, ...]:
    """Every word of the world in alphabetical order, single letters included."""
    return tuple(sorted({w for q in questions() for w in f"{q.text} {q.answer}".split()}))


Fact = tuple[str, tuple[str, ...]]
"""An answer, and the questions that ask for it."""


def _arithmetic() -> Iterator[Fact]:
    for a in range(11):
        for b in range(11):
            x, y, total = NUMBERS[a], NUMBERS[b], NUMBERS[a + b]
            yield (
                f"{x} plus {y} is {total}",
                (f"what is {x} plus {y}", f"how much is {x} plus {y}", f"add {x} and {y}"),
            )
            yield (
                f"{total} minus {y} is {x}",
                (
                    f"what is {total} minus {y}",
                    f"how much is {total} minus {y}",
                    f"take {y} from {total}",
                ),
            )


def _compare() -> Iterator[Fact]:
    for a, b in permutations(range(len(NUMBERS)), 2):
        how = "larger" if a > b else "smaller"
        x, y = NUMBERS[a], NUMBERS[b]
        yield f"{x} is {how} than {y}", (f"which is {how} {x} or {y}", f"which is {how} {y} or {x}")


def _spell() -> Iterator[Fact]:
    for word in CONTENT_WORDS:
        if 3 <= len(word) <= 4:
            yield (
                " ".join(word),
                (
                    f"spell {word}",
                    f"spell the word {word}",
                    f"please spell {word}",
                    f"how do you spell {word}",
                ),
            )
        for verb, place, letter in (("start", "first", word[0]), ("end", "last", word[-1])):
            yield (
                f"{word} {verb}s with {letter}",
                (
                    f"what letter does {word} {verb} with",
                    f"which letter does {word} {verb} with",
                    f"what is the {place} letter of {word}",
                    f"tell me the {place} letter of {word}",
                ),
            )


def _opposite() -> Iterator[Fact]:
    for word, other in OPPOSITE_OF.items():
        yield (
            f"the opposite of {word} is {other}",
            (
                f"what is the opposite of {word}",
                f"which word is the opposite of {word}",
                f"name the opposite of {word}",
                f"tell me the opposite of {word}",
            ),
        )
    pairs = [(a, b) for a, b in permutations(OPPOSITE_OF, 2) if OPPOSITE_OF[a] != b]
    singles = 4 * len(OPPOSITE_OF)
    for a, b in _some(pairs, (QUESTIONS_OF_TOPIC - singles) // 2, "opposite"):
        yield (
            f"{OPPOSITE_OF[a]} and {OPPOSITE_OF[b]}",
            (f"what are the opposites of {a} and {b}", f"name the opposites of {a} and {b}"),
        )


def _color() -> Iterator[Fact]:
    for thing, color in COLOR_OF.items():
        yield (
            f"{thing} is {color}",
            (
                f"what color is {thing}",
                f"which color is {thing}",
                f"name the color of {thing}",
                f"tell me the color of {thing}",
            ),
        )
    pairs = list(permutations(COLOR_OF, 2))
    left = QUESTIONS_OF_TOPIC - 4 * len(COLOR_OF)
    for a, b in _some(pairs, left // 4, "colors of two"):
        yield (
            f"{COLOR_OF[a]} {a} and {COLOR_OF[b]} {b}",
            (f"what colors are {a} and {b}", f"name the colors of {a} and {b}"),
        )
    unlike = [(a, b) for a, b in pairs if COLOR_OF[a] != COLOR_OF[b]]
    for a, b in _some(unlike, left // 4, "one of two"):
        color = COLOR_OF[a]
        yield f"{a} not {b}", (f"which is {color} {a} or {b}", f"which is {color} {b} or {a}")


def _repeat() -> Iterator[Fact]:
    draw = random.Random("repeat")
    orders = ("repeat after me", "please repeat", "say after me", "please say")
    said: set[str] = set()
    while len(said) < QUESTIONS_OF_TOPIC:
        answer = " ".join(draw.sample(CONTENT_WORDS, draw.choice((2, 3))))
        if answer not in said:
            said.add(answer)
            yield answer, (f"{orders[len(said) % len(orders)]} {answer}",)


def _some(pairs: Sequence[tuple[str, str]], count: int, purpose: str) -> Iterator[tuple[str, str]]:
    yield from random.Random(purpose).sample(pairs, count)
