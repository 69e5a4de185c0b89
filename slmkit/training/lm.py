"""Training a SpeechLM on one list of examples."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule
from torch.utils.data import DataLoader, Dataset

from slmkit.api import DataError, MisfitError, StageContext
from slmkit.data.batches import Budget, step_batch
from slmkit.data.packing import packed_batch
from slmkit.lm.grid import Grid, GridBatch
from slmkit.lm.speechlm import SpeechLM
from slmkit.lm.vocabulary import Vocabulary
from slmkit.training.averaging import Averaging
from slmkit.training.compiling import Compiling
from slmkit.training.muon import BETAS, MuonAdamW
from slmkit.training.options import LmTraining
from slmkit.training.precision import fast_precision
from slmkit.training.schedules import SCHEDULES
from slmkit.training.trainer import make_trainer


class Steps(Dataset[GridBatch]):
    """Item n is the batch of step n: a pure function of the examples, the seed and n."""

    def __init__(
        self, grids: Sequence[Grid], training: LmTraining, vocabulary: Vocabulary, seed: int
    ) -> None:
        self.grids, self.training, self.seed = grids, training, seed
        self.vocabulary = vocabulary
        self.lengths = [grid.steps for grid in grids]
        self.budget = Budget(training.batch_items or None, training.batch_tokens)

    def __len__(self) -> int:
        return self.training.steps

    def __getitem__(self, step: int) -> GridBatch:
        if self.training.packing:
            rows = packed_batch(self.lengths, step, self.seed, self.training.batch_tokens)
            batch = GridBatch.packed([self.grids[row] for row in rows], multiple=8)
        else:
            rows = step_batch(self.lengths, step, self.seed, self.budget)
            batch = GridBatch.of([self.grids[row] for row in rows], multiple=8)
        if not self.training.noise:
            return batch
        draw = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        return blurred(batch, self.vocabulary, self.training.noise, draw)


def blurred(
    batch: GridBatch, vocabulary: Vocabulary, share: float, draw: torch.Generator
) -> GridBatch:
    """A batch of which the model reads a share of the codes, in prompts and in what it has said so
    far, exchanged for random ones: no single code then decides what was heard, and the text rather
    than the codes before it decides what is said."""
    given = batch.tokens
    for codebook in range(vocabulary.codebooks):
        ids = vocabulary.code_range(codebook)
        codes = (given >= ids.start) & (given < ids.stop)
        hit = codes & (torch.rand(given.shape, generator=draw) < share)
        others = torch.randint(ids.start, ids.stop, given.shape, generator=draw)
        given = torch.where(hit, others, given)
    return replace(batch, given=given)


class LmLearner(LightningModule):
    """A SpeechLM with its optimizer; its refiner, which shares no weights with it, learns along."""

    def __init__(self, lm: SpeechLM, training: LmTraining, seed: int = 0) -> None:
        super().__init__()
        self.lm, self.seed = lm, seed
        self.training_options = training

    def training_step(self, batch: GridBatch, index: int) -> torch.Tensor:
        loss = self.lm.loss(batch, self.training_options.text_weight)
        self.log("loss", loss, prog_bar=True)
        refining = self.lm.refining_loss(batch, self._draw(self.global_step))
        if refining is None:
            return loss
        self.log("refiner_loss", refining)
        return loss + refining

    def validation_step(self, batch: GridBatch, index: int) -> None:
        count = int(batch.learn[:, :, 1:].sum())
        # each device checks some of the batches
        self.log("dev_loss", self.lm.loss(batch), batch_size=count, sync_dist=True)
        refining = self.lm.refining_loss(batch, self._draw(index))
        if refining is not None:
            drafts = len(batch.drafts)
            self.log("dev_refiner_loss", refining, batch_size=drafts, sync_dist=True)

    def _draw(self, number: int) -> torch.Generator:
        """What a refiner hides at a step: the same in a run that was broken off and goes on."""
        return torch.Generator().manual_seed(self.seed * 1_000_003 + number)

    def configure_optimizers(self) -> Any:
        training = self.training_options
        learnable = [p for p in self.parameters() if p.requires_grad]
        optimizer: torch.optim.Optimizer
        if training.optimizer == "muon":
            inside = {id(p) for p in self.lm.backbone.parameters() if p.dim() > 1}
            if self.lm.refiner is not None:
                inside |= {id(p) for p in self.lm.refiner.matrices()}
            matrices = [p for p in learnable if id(p) in inside]
            others = [p for p in learnable if id(p) not in inside]
            optimizer = MuonAdamW(matrices, others, training.lr, training.weight_decay)
        else:
            tables = {id(p) for p in self.lm.embedding.parameters()}
            decayed = [p for p in learnable if p.dim() > 1 and id(p) not in tables]
            others = [p for p in learnable if p.dim() <= 1 or id(p) in tables]
            groups = [
                {"params": decayed, "weight_decay": training.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ]
            optimizer = torch.optim.AdamW(groups, lr=training.lr, betas=BETAS)
        factor = SCHEDULES[training.schedule]
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: factor(step, training.warmup, training.steps, training.decay)
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def transfer_batch_to_device(self, batch: GridBatch, device: Any, index: int) -> GridBatch:
        return batch.to(device)


def fit_lm(
    lm: SpeechLM,
    train: Sequence[Grid],
    dev: Sequence[Grid],
    training: LmTraining,
    context: StageContext,
    watchers: Sequence[Callback] = (),
) -> None:
    """Train in place; a broken run goes on from its last checkpoint. `watchers` are called last.

    Raises DataError without examples, MisfitError for what the backbone cannot do.
    """
    if not train:
        raise DataError("there is nothing to train on: no example was built from the corpus")
    if training.packing:
        check_packing(lm)
    if training.checkpointing:
        lm.backbone.checkpoint_layers()
    learner = LmLearner(lm, training, context.seed)
    steps = Steps(train, training, lm.vocabulary, context.seed)
    batches = DataLoader(steps, batch_size=None, shuffle=False)
    checks = [GridBatch.of(dev[i : i + 16], multiple=8) for i in range(0, len(dev), 16)]
    averaging = Averaging(training.ema)
    callbacks: list[Callback] = [averaging] if training.ema else []
    if training.compile:
        callbacks.append(Compiling(lm, steps[0], context))
    trainer = make_trainer(
        context,
        max_steps=training.steps,
        gradient_clip_val=training.clip,
        precision=fast_precision(),
        callbacks=[*callbacks, *watchers],
    )
    trainer.fit(learner, batches, DataLoader(checks, batch_size=None) if checks else None)
    averaging.settle(learner)


def check_packing(lm: SpeechLM) -> None:
    """Raise MisfitError where a backbone does not take the positions of packed examples."""
    if "positions" not in inspect.signature(lm.backbone.forward).parameters:
        name = type(lm.backbone).__name__
        raise MisfitError(f"{name} cannot keep examples in one row apart: leave out packing")
