"""The utterances that a codec is held to."""

from __future__ import annotations

import random
from collections.abc import Sequence

from slmkit.api import DataError, StageContext, Utterance
from slmkit.data.coding import place_of
from slmkit.data.manifest import load_manifest


def held_out(split: str, context: StageContext) -> list[Utterance]:
    """Utterances of a split that have sound, each sound once, in an order drawn by the seed.

    Where some of their speakers are heard in training and others are not, only the latter's are
    taken. Raises DataError where there is none.
    """
    utterances = load_manifest(context.read("manifest") / "manifest.jsonl")
    found: dict[object, Utterance] = {}
    for utterance in utterances:
        if utterance.audio and utterance.split == split:
            found.setdefault(place_of(utterance), utterance)
    if not found:
        raise DataError(f"the corpus has no sound of the split '{split}'")
    chosen = unheard(list(found.values()), utterances)
    if len(chosen) < len(found):
        context.say(f"{len(chosen)} of {len(found)} utterances are of speakers unheard in training")
    random.Random(context.seed).shuffle(chosen)
    return chosen


def unheard(utterances: Sequence[Utterance], everything: Sequence[Utterance]) -> list[Utterance]:
    """Those whose speaker is known and not heard in training; all of them where there is none."""
    heard = {u.speaker for u in everything if u.split == "train"} | {None}
    return [u for u in utterances if u.speaker not in heard] or list(utterances)
