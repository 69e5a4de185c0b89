"""The recordings of single digits that `spoken-digits` puts its utterances together from."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from slmkit.api import DataError, Utterance
from slmkit.data.manifest import load_manifest
from slmkit_corpora.digit_tasks import DIGITS, Words


class Shelf:
    """The recordings of a manifest by split, speaker and digit, and who asks and answers."""

    def __init__(self, path: Path, assistant: str | None, splits: Sequence[str]) -> None:
        self.path, self.splits = path, splits
        self.found: dict[str, dict[str, dict[str, list[Utterance]]]] = {
            split: defaultdict(lambda: defaultdict(list)) for split in splits
        }
        for utterance in sorted(load_manifest(path), key=lambda u: u.id):
            word = (utterance.text or "").strip().lower()
            known = word in DIGITS and utterance.audio is not None
            if known and utterance.speaker is not None and utterance.split in splits:
                self.found[utterance.split][utterance.speaker][word].append(utterance)
        for split in splits:
            if not self.found[split]:
                raise DataError(
                    f"{path}: no recorded digit (text zero to nine, with a speaker) in split "
                    f"'{split}'" + (f": set {split} to 0" if split != "train" else "")
                )
        self.assistant = self._choose_assistant(assistant)

    def asker(self, split: str, digits: Words, draw: random.Random) -> str:
        """One of the speakers, the assistant left out, who says all of these digits in a split."""
        voices = self.found[split]
        able = sorted(name for name in voices if set(digits) <= voices[name].keys())
        others = [name for name in able if name != self.assistant] or able
        if not others:
            raise DataError(
                f"{self.path}: no speaker says all of '{' '.join(digits)}' in split '{split}'"
            )
        return draw.choice(others)

    def take(
        self, split: str, speaker: str, digits: Words, draw: random.Random
    ) -> tuple[Utterance, ...]:
        """A recording of each digit by that speaker."""
        return tuple(draw.choice(self.found[split][speaker][digit]) for digit in digits)

    def _choose_assistant(self, wanted: str | None) -> str:
        """The one who is asked for, else who has most recordings of all digits in each split."""
        names = sorted({name for voices in self.found.values() for name in voices})
        if wanted is not None and wanted not in names:
            raise DataError(f"{self.path}: no speaker '{wanted}'; there are {', '.join(names)}")
        able = [
            name
            for name in ([wanted] if wanted else names)
            if all(len(self.found[split][name]) == len(DIGITS) for split in self.splits)
        ]
        if not able:
            who = f"'{wanted}' does not say" if wanted else "no speaker says"
            raise DataError(
                f"{self.path}: {who} all ten digits in each of the splits "
                f"{', '.join(self.splits)}, as an assistant must"
            )
        return max(able, key=self._count)

    def _count(self, name: str) -> int:
        return sum(len(r) for voices in self.found.values() for r in voices[name].values())
