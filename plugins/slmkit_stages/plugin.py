"""Stages that every recipe can use."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Declaration, hookimpl, option


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


@hookimpl
def slmkit_stages() -> list[Declaration]:
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
