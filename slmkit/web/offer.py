"""What a page offers: what the run on it can do, and the tokenizers of the playground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from slmkit.api import CodeSpec, DataError, UnknownNameError, Vocoder
from slmkit.data.audio import Wave
from slmkit.generation.assistant import Assistant
from slmkit.generation.reader import Reader
from slmkit.host import host
from slmkit.lm.dialogue import DIALOGUE_FILE
from slmkit.lm.reading import READING_FILE
from slmkit.recipe.assistant import open_assistant
from slmkit.recipe.reader import open_reader
from slmkit.recipe.saved import SavedRun, load
from slmkit.web.playground import Coder, fit_to, fitted_here

FITTED = "fitted to your sound"


@dataclass
class Offer:
    """Everything that a page can do.

    Attributes:
        name: of the run; empty where there is none.
        assistant: answers questions; None where the run cannot.
        reader: reads aloud; None where the run cannot.
        slots: the run's slots of tokenizers.
    """

    name: str = ""
    assistant: Assistant | None = None
    reader: Reader | None = None
    run: SavedRun | None = None
    slots: Sequence[str] = ()
    _open: dict[str, Coder] = field(default_factory=dict)

    @property
    def tokenizers(self) -> list[str]:
        """The names among which a visitor of the playground chooses, the run's own first."""
        own = [f"{slot} of {self.name}" for slot in self.slots]
        return [*own, *(f"{part.name}, {FITTED}" for part in fitted_here())]

    def rate(self, name: str) -> int:
        """The sample rate that a tokenizer wants, Hz. Raises UnknownNameError."""
        return self._spec(name).sample_rate

    def codebooks(self, name: str) -> int:
        """How many a tokenizer gives. Raises UnknownNameError."""
        return self._spec(name).codebooks

    def coder(self, name: str, waves: Sequence[Wave]) -> Coder:
        """The tokenizer of that name; one that must be is fitted to `waves`. Raises SlmkitError."""
        self._check(name)
        for part in fitted_here():
            if name == f"{part.name}, {FITTED}":
                return fit_to(part, waves)
        if name not in self._open:
            self._open[name] = self._of_run(name)
        return self._open[name]

    def _spec(self, name: str) -> CodeSpec:
        self._check(name)
        for part in fitted_here():
            if name == f"{part.name}, {FITTED}":
                from slmkit.host import build

                spec: CodeSpec = build("tokenizer", part.name).spec
                return spec
        return self.coder(name, ()).tokenizer.spec

    def _check(self, name: str) -> None:
        if name not in self.tokenizers:
            raise UnknownNameError("tokenizer", name, self.tokenizers)

    def _of_run(self, name: str) -> Coder:
        """The tokenizer of a slot of the run, with the run's vocoder where it speaks its codes."""
        assert self.run is not None
        slot = next(slot for slot in self.slots if name == f"{slot} of {self.name}")
        entry = self.run.recipe["parts"][slot]
        tokenizer = self.run.fitted_or_named(slot)
        declaration = host().find("tokenizer", entry["part"]).declaration
        vocoder = self._vocoder(slot, tokenizer.spec)
        return Coder.of(tokenizer, vocoder, declaration.can.semantic_first)

    def _vocoder(self, slot: str, spec: CodeSpec) -> Vocoder | None:
        """The run's vocoder, which speaks the codes of its slot `tokenizer`."""
        assert self.run is not None
        entry = self.run.recipe["parts"].get("vocoder")
        # a tokenizer in its place speaks by its own decoder
        if slot != "tokenizer" or entry is None or entry.get("kind", "vocoder") != "vocoder":
            return None
        vocoder: Vocoder = self.run.fitted_or_named("vocoder", spec)
        return vocoder


def open_offer(folder: Path | None) -> Offer:
    """What a run offers, or the playground alone without one.

    A run that neither talks nor reads aloud offers its tokenizers. Raises DataError where the
    folder holds no run, or one without anything to offer.
    """
    if folder is None:
        return Offer()
    run = load(folder)
    parts: Mapping[str, Any] = run.recipe["parts"]
    slots = tuple(slot for slot in parts if parts[slot].get("kind", slot) == "tokenizer")
    left = partial(_left, run)
    talks, reads = left(DIALOGUE_FILE), left(READING_FILE)
    if not (talks or reads or slots):
        raise DataError(f"{folder}: this run has nothing that a page can offer: no tokenizer")
    return Offer(
        name=str(run.recipe["name"]),
        assistant=open_assistant(folder) if talks else None,
        reader=open_reader(folder) if reads else None,
        run=run,
        slots=slots,
    )


def _left(run: SavedRun, file: str) -> bool:
    """Whether a finished stage left a model with that file."""
    return any((path / "lm" / file).exists() for path in run.paths.values())
