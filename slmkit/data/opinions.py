"""Opinion scores of a listening test: the key, the forms that listeners saved, and their means.

A form knows its items by codes alone; which design an item is of stands in the key. MOS is how
natural speech sounds, SMOS how alike its voice is to another's: 1 to 5 in half steps, as in VALL-E
(Wang et al. 2023) after ITU-T P.800.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmkit.api import DataError
from slmkit.data.atomic import write_atomically
from slmkit.data.content import hash_json
from slmkit.data.intervals import crossed_bootstrap

KEY_KIND, FORM_KIND = "listening-key", "listening-scores"
"""What a file is, under the name `slmkit`."""

MEASURES = ("mos", "smos")
STEPS = tuple(step / 2 for step in range(2, 11))
"""The scores that there are: 1, 1.5, .. 5."""


@dataclass(frozen=True)
class Key:
    """Which item of a listening test is of which design.

    Attributes:
        designs: by the item's code.
        texts: the utterance whose text an item says, by the item's code.
    """

    designs: Mapping[str, str]
    texts: Mapping[str, str]

    @property
    def test(self) -> str:
        """The name of the test, which its forms carry: it follows from the items."""
        return str(hash_json([dict(self.designs), dict(self.texts)]))[:12]

    def save(self, path: Path) -> None:
        """Write it."""
        record = {"slmkit": KEY_KIND, "test": self.test, "designs": dict(self.designs),
                  "texts": dict(self.texts)}  # fmt: skip
        write_atomically(path, (json.dumps(record, indent=1) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> Key:
        """The inverse of `save`. Raises DataError for another file, or one that was changed."""
        record = _record(path, KEY_KIND, "the key of a listening test")
        designs, texts = record.get("designs"), record.get("texts")
        named = isinstance(designs, dict) and isinstance(texts, dict)
        key = cls(dict(designs or {}), dict(texts or {})) if named else cls({}, {})
        if not key.designs or record.get("test") != key.test:
            raise DataError(f"{path}: this key was changed after it was made")
        return key


@dataclass(frozen=True)
class Form:
    """What one listener scored.

    Attributes:
        name: of the form as it was opened; no two listeners have the same.
        listener: what the listener is called.
        scores: MOS and SMOS by the item's code.
    """

    name: str
    listener: str
    scores: Mapping[str, tuple[float, float]]

    @classmethod
    def load(cls, path: Path, key: Key) -> Form:
        """Read what a form saved, and hold it to the key. Raises DataError, in one line, for a file
        that is none, of another test, incomplete, or changed since."""
        record = _record(path, FORM_KIND, "a saved form of a listening test")
        if record.get("test") != key.test:
            raise DataError(
                f"{path}: a form of another listening test ({record.get('test')}; the key is of "
                f"{key.test})"
            )
        given = record.get("scores")
        scores = given if isinstance(given, dict) else {}
        if strange := sorted(set(scores) - set(key.designs)):
            raise DataError(f"{path}: scores the item '{strange[0]}', which the test has not")
        found = {code: _scored(path, code, scores[code]) for code in key.designs if code in scores}
        if missing := len(key.designs) - len(found):
            raise DataError(
                f"{path}: incomplete: {missing} of {len(key.designs)} items are not scored"
            )
        form = cls(str(record.get("form")), str(record.get("listener")), found)
        if record.get("check") != form.check(key.test):
            raise DataError(f"{path}: was changed after it was saved: its check does not fit")
        return form

    def check(self, test: str) -> str:
        """CRC-32 over all that was answered. It finds slips of the hand, not forgers."""
        lines = [f"{code} {mos:g} {smos:g}" for code, (mos, smos) in sorted(self.scores.items())]
        return f"{zlib.crc32(chr(10).join([test, self.name, self.listener, *lines]).encode()):08x}"


@dataclass(frozen=True)
class Opinion:
    """What listeners think of a design.

    Attributes:
        mos, smos: (mean, low, high), 95%, over listeners and items.
        listeners, items: how many.
    """

    design: str
    mos: tuple[float, float, float]
    smos: tuple[float, float, float]
    listeners: int
    items: int


def read_forms(paths: Sequence[Path], key: Key) -> tuple[list[Form], list[DataError]]:
    """The forms that can be counted, and why the others cannot."""
    forms: dict[str, Form] = {}
    faults: list[DataError] = []
    for path in paths:
        try:
            form = Form.load(path, key)
            if form.name in forms:
                listener = forms[form.name].listener
                raise DataError(f"{path}: this form of '{listener}' is here twice; it counts once")
        except DataError as fault:
            faults.append(fault)
        else:
            forms[form.name] = form
    return list(forms.values()), faults


def opinions(forms: Sequence[Form], key: Key) -> list[Opinion]:
    """Each design's means, the designs in the order of their names."""
    found = []
    for design in sorted(set(key.designs.values())):
        codes = [code for code, name in key.designs.items() if name == design]
        means = [
            crossed_bootstrap([[form.scores[code][measure] for code in codes] for form in forms])
            for measure in range(len(MEASURES))
        ]
        found.append(Opinion(design, means[0], means[1], len(forms), len(codes)))
    return found


def _record(path: Path, kind: str, what: str) -> dict[str, Any]:
    """The JSON object in a file that says what it is."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or record.get("slmkit") != kind:
        raise DataError(f"{path}: not {what}")
    return record


def _scored(path: Path, code: str, given: Any) -> tuple[float, float]:
    """An item's two scores."""
    answers = given if isinstance(given, dict) else {}
    found = []
    for value in (answers.get(measure) for measure in MEASURES):
        # True is a 1 to Python, and no score
        if isinstance(value, bool) or value not in STEPS:
            raise DataError(f"{path}: item '{code}': {value!r} is no score: 1 to 5 in half steps")
        found.append(float(value))
    return found[0], found[1]
