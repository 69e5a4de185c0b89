"""Judged speech as rows of results, with intervals, and as items that a comparison can pair."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from slmkit.api import Result
from slmkit.data.intervals import bootstrap, proportion
from slmkit.generation.attempts import FAILURES
from slmkit_tts.judging import Said


def figures(said: Sequence[Said], name: str, split: str) -> Iterator[Result]:
    """Word errors and likeness to voices; also of known and of new voices apart. `name` stands
    behind a metric's own: "", "/copy", "/best-of-4"."""
    yield from _of(said, name, split)
    for group, known in (("known-voices", True), ("new-voices", False)):
        some = [each for each in said if each.case.known is known]
        if some:
            yield from _of(some, f"{name}/{group}", split)


def failures(said: Sequence[Said], name: str, split: str) -> Iterator[Result]:
    """The share of texts whose last attempt failed, whole and by what went wrong, and how many
    attempts there were for each text."""
    tried = [each.attempt for each in said]
    for what, kinds in (("failed", FAILURES), *((f"failed/{k}", (k,)) for k in FAILURES)):
        share = proportion(sum(each.failure in kinds for each in tried), len(tried))
        yield Result(what + name, split, *(100 * s for s in share), len(tried), "%", "lower")
    tries = [float(each.tries) for each in tried]
    spread = bootstrap(tries, [1.0] * len(tries))
    yield Result(f"tries{name}", split, *spread, len(tries), "", "lower")


def items(said: Sequence[Said], best: Sequence[Said], sounds: Sequence[Any]) -> list[Any]:
    """Every case as plain values: what was asked, what was measured of the first draw (and of the
    best), and the sounds that were kept."""
    return [
        {
            "id": one.case.utterance.id,
            "text": one.case.utterance.text,
            "split": one.case.utterance.split,
            "speaker": one.case.utterance.speaker,
            "known": one.case.known,
            "prompt": one.case.voice.id if one.case.voice else None,
            "stranger": one.case.stranger.id if one.case.stranger else None,
            **_measured(one),
            "best": _measured(top),
            "sounds": kept,
        }
        for one, top, kept in zip(said, best, sounds, strict=True)
    ]


def paired_items(said: Sequence[Said]) -> list[dict[str, Any]]:
    """The scores of every case as numerator and denominator, as `slmkit compare` reads them."""
    found = []
    for one in said:
        scores = {"wer": [one.errors, one.words]}
        if one.alike is not None:
            scores["similarity"] = [one.alike, 1.0]
        if one.stranger is not None:
            scores["stranger-similarity"] = [one.stranger, 1.0]
            scores["nearer-to-prompt"] = [float(one.nearer), 1.0]
        found.append({"id": one.case.utterance.id, "scores": scores})
    return found


def _of(said: Sequence[Said], name: str, split: str) -> Iterator[Result]:
    wer = bootstrap([each.errors for each in said], [each.words for each in said])
    yield Result(f"wer{name}", split, *(100 * w for w in wer), len(said), "%", "lower")
    alike = [each.alike for each in said if each.alike is not None]
    if alike:
        spread = bootstrap(alike, [1.0] * len(alike))
        yield Result(f"similarity{name}", split, *spread, len(alike))
    apart = [each for each in said if each.stranger is not None]
    if apart:
        strange = [each.stranger or 0.0 for each in apart]
        spread = bootstrap(strange, [1.0] * len(apart))
        yield Result(f"stranger-similarity{name}", split, *spread, len(apart), direction="lower")
        share = proportion(sum(each.nearer for each in apart), len(apart))
        yield Result(f"nearer-to-prompt{name}", split, *(100 * s for s in share), len(apart), "%")


def _measured(one: Said) -> dict[str, Any]:
    return {
        "heard": one.heard,
        "wer": [one.errors, one.words],
        "similarity": one.alike,
        "stranger_similarity": one.stranger,
        "failure": one.attempt.failure,
        "tries": one.attempt.tries,
        "frames": int(one.attempt.codes.shape[1]),
    }
