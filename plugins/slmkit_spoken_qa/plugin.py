"""The embedded corpus: spoken questions and answers over a small world."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Can, Declaration, hookimpl, option


@dataclass
class SpokenQaOptions:
    """How much of the world is spoken, and by whom."""

    seed: int = option(0, "decides what is held out, who says what, and how")
    questions: int = option(3000, "spoken questions to learn from")
    dev: int = option(60, "held-out questions for development")
    test: int = option(300, "held-out questions, asked in known voices and in the held-out one")
    words: int = option(1500, "utterances of the world's words in random order, for judges")
    voices: int = option(8, "known voices that ask")


@hookimpl
def slmkit_corpora() -> list[Declaration]:
    return [
        Declaration(
            name="spoken-qa",
            summary="questions and answers over a small world, spoken by espeak-ng (GPL-3, extra)",
            target="slmkit_spoken_qa.corpus:SpokenQa",
            options=SpokenQaOptions,
            can=Can(audio=True, dialogue=True),
            requires=("espeakng_loader",),
            extra="text",
            source="the world is slmkit's own; speech by espeak-ng 1.52, GPL-3.0-or-later",
        )
    ]
