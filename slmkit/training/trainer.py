"""`lightning.Trainer` that goes on after any break as if there had been none.

Lightning restores weights, optimizers and schedules, but neither the place in the data nor all
random state. Here both follow from the count of batches: batch n is the dataset's item n, and all
random numbers of a step are drawn from a seed made of the run's seed and n.
"""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch.utils.data import DataLoader, Dataset

from slmkit.api import MisfitError, Progress, StageContext, UnknownNameError
from slmkit.training.arguments import trainer_arguments
from slmkit.training.devices import TRAINING, announced, disband, helps

CHECKPOINT = "last.ckpt"
LOGS = "tensorboard"
CHECKPOINT_EVERY_S = 30.0
"""Seconds of training that a break can cost."""

CHECKS = 10
"""How often the held-out loss is measured in the course of a training."""


def make_trainer(context: StageContext, *, name: str = "", **ours: Any) -> ResumableTrainer:
    """A trainer for a stage: `ours` are its arguments, over which the recipe's `trainer:` wins.

    It keeps `last.ckpt` and TensorBoard logs in the stage's folder, or in `name` inside it where a
    stage trains more than one thing. Raises UnknownNameError for an argument that is none.
    """
    for key in context.trainer:
        if key not in trainer_arguments():
            raise UnknownNameError("option of lightning.Trainer", key, trainer_arguments())
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    folder = context.folder / name
    folder.mkdir(parents=True, exist_ok=True)
    merged: dict[str, Any] = {
        "devices": 1,
        "default_root_dir": folder,
        "enable_checkpointing": False,
        "enable_model_summary": False,
        "enable_progress_bar": False,
        "num_sanity_val_steps": 0,
        **ours,
        **context.trainer,
    }
    steps = merged.get("max_steps", -1)
    if isinstance(steps, int) and steps > 0:
        merged.setdefault("log_every_n_steps", max(1, steps // 200))
        batches = steps * merged.get("accumulate_grad_batches", 1)
        if "val_check_interval" not in merged and "check_val_every_n_epoch" not in merged:
            merged |= {
                "val_check_interval": max(1, batches // CHECKS),
                "check_val_every_n_epoch": None,
            }
    if merged.get("logger", True) is True:
        merged["logger"] = TensorBoardLogger(folder, name="", version=LOGS)
    place = Place(context.seed)
    saver = Saver(folder / CHECKPOINT, place)
    merged["callbacks"] = [*(merged.get("callbacks") or []), place, saver]
    return ResumableTrainer(context, place, saver.file, merged)


class ResumableTrainer(Trainer):
    """A `lightning.Trainer` whose `fit` goes on from the stage's checkpoint, if there is one.

    Raises MisfitError for arguments that Lightning refuses.
    """

    def __init__(
        self, context: StageContext, place: Place, checkpoint: Path, arguments: dict[str, Any]
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                super().__init__(**arguments)
            except (MisconfigurationException, ValueError) as error:
                raise MisfitError(f"trainer: {' '.join(str(error).split())}") from error
        self.context, self.place, self.checkpoint = context, place, checkpoint

    def fit(
        self,
        model: LightningModule,
        batches: Dataset[Any] | DataLoader[Any],
        checks: DataLoader[Any] | None = None,
    ) -> None:
        """Train on a dataset whose item n is the batch of step n, for any n.

        A DataLoader over such a dataset lends its workers and pinning; its order is not used.
        `checks` are held-out batches for `validation_step`. Raises KeyboardInterrupt on Ctrl-C.
        """
        name = str(self.checkpoint.parent.relative_to(self.context.folder))
        if helps() and os.environ.get(TRAINING) != name:
            # a helper that was called for a later training of the stage: this one is over
            saved = torch.load(self.checkpoint, weights_only=True)
            model.load_state_dict(saved["state_dict"])
            for callback in self.callbacks:
                if callback.state_key in saved["callbacks"]:
                    callback.load_state_dict(saved["callbacks"][callback.state_key])
            return
        with announced(TRAINING, name):
            self._fit(model, Steps(batches, self), checks)
        if self.world_size > 1:
            helper = self.global_rank > 0
            disband()
            if helper:
                raise SystemExit(0)

    def _fit(self, model: LightningModule, steps: Steps, checks: DataLoader[Any] | None) -> None:
        handler = signal.getsignal(signal.SIGINT)
        steps_due = self.max_steps if self.max_steps > 0 else None
        with (
            self.context.progress("training", steps_due) as show,
            warnings.catch_warnings(),
        ):
            warnings.filterwarnings("ignore", module=r"lightning\.")
            self.callbacks.append(Shown(show))
            try:
                super().fit(
                    model,
                    steps,
                    checks,
                    ckpt_path=self.checkpoint if self.checkpoint.exists() else None,
                    weights_only=True,
                )
            except SystemExit as stop:
                if not isinstance(stop.__context__, KeyboardInterrupt):
                    raise
                # Lightning leaves Ctrl-C switched off, which a notebook would feel ever after
                if threading.current_thread() is threading.main_thread():
                    signal.signal(signal.SIGINT, handler)
                raise KeyboardInterrupt from None


class Place(Callback):
    """Counts batches and seeds each: the place in the data and in the random numbers."""

    def __init__(self, seed: int) -> None:
        self.seed, self.batches = seed, 0

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        words = np.random.SeedSequence((self.seed, self.batches, trainer.global_rank))
        seed = int(words.generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)

    def on_train_batch_end(self, *_: Any) -> None:
        self.batches += 1

    def state_dict(self) -> dict[str, int]:
        """What goes into a checkpoint."""
        return {"batches": self.batches}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """What comes from a checkpoint."""
        self.batches = state["batches"]


class Saver(Callback):
    """Replaces the checkpoint in one step, every so many seconds and at the end."""

    def __init__(self, file: Path, place: Place) -> None:
        self.file, self.place, self.saved = file, place, time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        due = time.monotonic() - self.saved > CHECKPOINT_EVERY_S
        # gradients that are still being gathered are in no checkpoint
        if self.place.batches % trainer.accumulate_grad_batches:
            return
        if trainer.strategy.reduce_boolean_decision(due, all=False):
            self._save(trainer)

    def on_train_end(self, trainer: Trainer, *_: Any) -> None:
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        beside = self.file.with_suffix(".tmp")
        trainer.save_checkpoint(beside)
        if trainer.is_global_zero:
            if self.file.is_dir():
                # sharded strategies write folders, which cannot be replaced in one step
                shutil.rmtree(self.file)
            os.replace(beside, self.file)
        self.saved = time.monotonic()


class Shown(Callback):
    """Shows how far training has come, about once a second."""

    def __init__(self, show: Progress) -> None:
        self.show, self.shown = show, time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if trainer.is_global_zero and time.monotonic() - self.shown > 1:
            self.shown = time.monotonic()
            metrics = trainer.progress_bar_metrics.items()
            text = ", ".join(f"{name} {value:.3f}" for name, value in metrics)
            self.show(trainer.global_step, text=text)


class Steps:
    """Items of a dataset in their order, from the place of a trainer on.

    It has no length, so that Lightning does not count what was done before a break; with
    `max_steps` it has no end either: an item past the dataset's length is asked for where more
    batches than steps are needed (accumulation, several devices).
    """

    def __init__(self, batches: Dataset[Any] | DataLoader[Any], trainer: ResumableTrainer) -> None:
        self.trainer = trainer
        self.settings: dict[str, Any] = {}
        self.dataset: Any = batches
        if isinstance(batches, DataLoader):
            if batches.batch_size is not None:
                raise TypeError("an item must be a whole batch: DataLoader(..., batch_size=None)")
            self.dataset = batches.dataset
            self.settings = {
                "collate_fn": batches.collate_fn,
                "num_workers": batches.num_workers,
                "pin_memory": batches.pin_memory,
                "persistent_workers": batches.persistent_workers,
                "worker_init_fn": batches.worker_init_fn,
                "prefetch_factor": batches.prefetch_factor,
            }

    def __iter__(self) -> Iterator[Any]:
        order = _Order(self.trainer, None if self.trainer.max_steps > 0 else len(self.dataset))
        # batch_size=None: an item is a batch; the generator keeps iterating from drawing seeds
        generator = torch.Generator().manual_seed(0)
        loader = DataLoader(
            self.dataset, batch_size=None, sampler=order, generator=generator, **self.settings
        )
        return iter(loader)


class _Order:
    """The items that one device takes: of W devices the r-th takes r, r + W, ..."""

    def __init__(self, trainer: ResumableTrainer, end: int | None) -> None:
        self.trainer, self.end = trainer, end

    def __iter__(self) -> Iterator[int]:
        world, rank = self.trainer.world_size, self.trainer.global_rank
        item = self.trainer.place.batches * world + rank
        while self.end is None or item < self.end:
            yield item
            item += world
