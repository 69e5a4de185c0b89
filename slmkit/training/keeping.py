"""Models kept in the course of a training, to be judged as it went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from slmkit.lm.saving import save_lm
from slmkit.lm.speechlm import SpeechLM
from slmkit.training.averaging import Averaging

KEPT = "kept"


class Keeping(Callback):
    """Writes the model at `count` equally distant steps, the last of the training among them: with
    a moving average that, as it is checked on."""

    def __init__(self, lm: SpeechLM, folder: Path, steps: int, count: int) -> None:
        self.lm, self.folder = lm, folder
        self.due = {steps * number // count for number in range(1, count + 1)} - {0}

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        if trainer.global_step not in self.due or not trainer.is_global_zero:
            return
        place = self.folder / KEPT / f"{trainer.global_step:08d}"
        averages: list[Any] = [c for c in trainer.callbacks if isinstance(c, Averaging)]
        for averaging in averages:
            averaging.on_validation_start(trainer, module)
        save_lm(self.lm, place)
        for averaging in averages:
            averaging.on_validation_end(trainer, module)


def kept_in(folder: Path) -> list[tuple[int, Path]]:
    """The models that a stage's training left on its way: (step, folder), ascending."""
    return sorted((int(place.name), place) for place in (folder / KEPT).glob("*"))
