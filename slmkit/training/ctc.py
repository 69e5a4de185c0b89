"""Training a transcriber by connectionist temporal classification (Graves et al. 2006)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple, Protocol

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from slmkit.api import DataError, StageContext
from slmkit.data.batches import Budget, step_batch
from slmkit.training.augment import worsen
from slmkit.training.precision import fast_precision
from slmkit.training.trainer import make_trainer

BLANK = 0


class CtcModel(Protocol):
    """What a transcriber must offer beside its contract to be trained here. A torch Module."""

    sample_rate: int

    def ids(self, text: str) -> list[int]:
        """Characters from 1 on; 0 is the blank."""

    def features(self, wav: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel [b, t, m] of waves [b, n] and its lengths [b]."""

    def logits(self, log_mel: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [b, t', c] of blank and characters, and their lengths [b]."""


@dataclass(frozen=True)
class CtcTraining:
    """How a transcriber is trained.

    Attributes:
        steps: optimizer steps.
        lr: peak learning rate of AdamW; a warm-up over a tenth of the steps, then down to nothing.
        batch_frames: log-mel frames in a batch, padding included.
        weight_decay: of matrices.
        clip: greatest norm of the gradient.
    """

    steps: int
    lr: float
    batch_frames: int
    weight_decay: float = 0.01
    clip: float = 1.0


@dataclass(frozen=True, eq=False)
class Heard:
    """One utterance: float16 log-mel [t, m] and what is said in it."""

    log_mel: Tensor
    ids: Tensor


class CtcBatch(NamedTuple):
    """log_mel [b, t, m] float32, lengths [b], ids [sum of counts], counts [b]."""

    log_mel: Tensor
    lengths: Tensor
    ids: Tensor
    counts: Tensor

    @classmethod
    def of(cls, rows: Sequence[Heard]) -> CtcBatch:
        """Utterances as one batch."""
        return cls(
            pad_sequence([row.log_mel for row in rows], batch_first=True).float(),
            torch.tensor([len(row.log_mel) for row in rows]),
            torch.cat([row.ids for row in rows]),
            torch.tensor([len(row.ids) for row in rows]),
        )


class Steps(Dataset[CtcBatch]):
    """Item n is the batch of step n: a pure function of the utterances, the seed and n."""

    def __init__(self, rows: Sequence[Heard], training: CtcTraining, seed: int) -> None:
        self.rows, self.seed, self.length = rows, seed, training.steps
        self.lengths = [len(row.log_mel) for row in rows]
        self.budget = Budget(max_frames=training.batch_frames)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, step: int) -> CtcBatch:
        chosen = step_batch(self.lengths, step, self.seed, self.budget)
        return CtcBatch.of([self.rows[row] for row in chosen])


class CtcLearner(LightningModule):
    """A transcriber with its optimizer."""

    def __init__(self, model: Any, training: CtcTraining) -> None:
        super().__init__()
        self.model = model
        self.training_options = training

    def loss(self, batch: CtcBatch) -> Tensor:
        """CTC loss for each character, averaged over the batch's characters."""
        scores, lengths = self.model.logits(batch.log_mel, batch.lengths)
        return ctc_losses(scores, lengths, batch.ids, batch.counts).sum() / batch.counts.sum()

    def training_step(self, batch: CtcBatch, index: int) -> Tensor:
        log_mel, lengths = worsen(batch.log_mel, batch.lengths)
        loss = self.loss(batch._replace(log_mel=log_mel, lengths=lengths))
        self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: CtcBatch, index: int) -> None:
        self.log("dev_loss", self.loss(batch), batch_size=int(batch.counts.sum()))

    def configure_optimizers(self) -> Any:
        training = self.training_options
        matrices = [p for p in self.parameters() if p.dim() > 1]
        vectors = [p for p in self.parameters() if p.dim() <= 1]
        groups = [
            {"params": matrices, "weight_decay": training.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=training.lr, betas=(0.9, 0.98))
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rise_and_fall(step, training.steps)
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def ctc_losses(
    scores: Tensor, lengths: Tensor, ids: Tensor, counts: Tensor, endless: bool = False
) -> Tensor:
    """Minus the log-likelihood [b], nats, of each text under scores [b, t, c]; `ids` are the texts
    end to end and `counts` [b] how long they are. What does not fit in its frames counts as 0,
    which leaves the gradients of the others alone, or as infinity where `endless`."""
    log_probs = scores.float().log_softmax(dim=-1).transpose(0, 1)
    return functional.ctc_loss(
        log_probs,
        ids,
        lengths,
        counts,
        blank=BLANK,
        reduction="none",
        zero_infinity=not endless,
    )


def greedy(scores: Tensor, lengths: Tensor) -> list[list[int]]:
    """The best path of each row of scores [b, t, c]: repetitions merged, then blanks dropped."""
    paths = zip(scores.argmax(dim=-1).tolist(), lengths.tolist(), strict=True)
    return [
        [index for index, _ in groupby(path[:length]) if index != BLANK] for path, length in paths
    ]


def rise_and_fall(step: int, steps: int) -> float:
    """Factor of the peak learning rate: linear up over a tenth, then a cosine down to nothing."""
    rise = max(1, steps // 10)
    if step < rise:
        return (step + 1) / rise
    return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise)))


def fit_ctc(
    model: Any,
    train: Sequence[Heard],
    dev: Sequence[Heard],
    training: CtcTraining,
    context: StageContext,
) -> None:
    """Train a `CtcModel` in place; a broken run goes on from its checkpoint. Raises DataError."""
    if not train:
        raise DataError("there is nothing to train a transcriber on: no utterance was given")
    learner = CtcLearner(model, training)
    checks = [CtcBatch.of(dev[i : i + 32]) for i in range(0, len(dev), 32)]
    trainer = make_trainer(
        context,
        max_steps=training.steps,
        gradient_clip_val=training.clip,
        precision=fast_precision(),
    )
    trainer.fit(
        learner,
        DataLoader(Steps(train, training, context.seed), batch_size=None),
        DataLoader(checks, batch_size=None) if checks else None,
    )
