"""A probe: how much of the text can be read off frozen codes by a small network.

Two bidirectional LSTM layers over the summed embeddings of the codes, then connectionist temporal
classification over characters, as SUPERB's recognizer (Yang et al. 2021) and SLMTokBench (Zhang et
al. 2024) have it. Letters: b (batch), k (codebook), t (frame), d (width), c (character).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import jiwer
import numpy as np
import torch
from lightning.pytorch import LightningModule
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from slmkit.api import DataError, StageContext
from slmkit.codecs.recurrent import from_own_ends
from slmkit.data.batches import Budget, step_batch
from slmkit.training.ctc import ctc_losses, greedy, rise_and_fall
from slmkit.training.trainer import make_trainer

LAYERS = 2
SLOWEST_HZ = 50.0
"""Codes of fewer frames a second are repeated until there are as many: at 12.5 Hz characters come
faster than frames, and CTC writes at most one a frame."""


@dataclass(frozen=True)
class ProbeTraining:
    """How a probe is trained.

    Attributes:
        steps: optimizer steps.
        lr: peak learning rate of Adam; a warm-up over a tenth of the steps, then down to nothing.
        batch_frames: frames in a batch, padding included.
        clip: greatest norm of the gradient.
    """

    steps: int
    lr: float
    batch_frames: int
    clip: float = 5.0


@dataclass(frozen=True, eq=False)
class Read:
    """One utterance to be read: its codes int64 [k, t], and its text as `plain_text` gives it."""

    id: str
    codes: NDArray[np.int64]
    text: str


def plain_text(text: str) -> str:
    """Lower case, only letters, digits and apostrophes, words set apart by one space."""
    return " ".join(re.sub(r"[^\w']|_", " ", text.lower()).split())


def repeats(frame_rate: float) -> int:
    """How often each frame is read, so that there are at least `SLOWEST_HZ` of them a second."""
    return max(1, int(np.ceil(SLOWEST_HZ / frame_rate - 1e-9)))


class Probe(nn.Module):
    """Codes to characters: embeddings summed, a bidirectional LSTM, scores.

    Each codebook has its own embedding, drawn at random and learnt: nothing of the tokenizer is
    seen but its codes. `alphabet` is numbered from 1; 0 is the blank.
    """

    def __init__(
        self, codebook_sizes: Sequence[int], alphabet: str, width: int, repeat: int = 1
    ) -> None:
        super().__init__()
        self.alphabet, self.repeat = alphabet, repeat
        self.embeddings = nn.ModuleList(nn.Embedding(size, width) for size in codebook_sizes)
        self.lstm = nn.LSTM(width, width, LAYERS, bidirectional=True)
        self.last = nn.Linear(2 * width, len(alphabet) + 1)

    def forward(self, codes: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [b, t', c] of codes [b, k, t], and their lengths [b]; t' = t * repeat."""
        books = zip(self.embeddings, codes.unbind(dim=1), strict=True)
        summed = torch.stack([embedding(values) for embedding, values in books]).sum(dim=0)
        summed, lengths = summed.repeat_interleave(self.repeat, dim=1), lengths * self.repeat
        seen = from_own_ends(self.lstm, summed.transpose(0, 1), lengths.tolist())
        return self.last(seen.transpose(0, 1)), lengths

    def ids(self, text: str) -> list[int]:
        """The characters of a text that the alphabet has."""
        return [self.alphabet.index(c) + 1 for c in text if c in self.alphabet]

    def fits(self, read: Read) -> bool:
        """Whether the text has a path through the frames: CTC parts equal neighbours by a blank."""
        ids = self.ids(read.text)
        needed = len(ids) + sum(a == b for a, b in pairwise(ids))
        return needed <= int(read.codes.shape[1] * self.repeat)

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def write(self, reads: Sequence[Read], batch: int = 32) -> list[str]:
        """The text that it reads off each utterance, greedily; leaves it in evaluation mode."""
        self.eval()
        written = []
        for start in range(0, len(reads), batch):
            some = ProbeBatch.of(reads[start : start + batch], self)
            for ids in greedy(*self(some.codes, some.lengths)):
                characters = "".join(self.alphabet[index - 1] for index in ids)
                written.append(" ".join(characters.split()))
        return written


class ProbeBatch(NamedTuple):
    """codes [b, k, t], lengths [b], ids [sum of counts], counts [b]."""

    codes: Tensor
    lengths: Tensor
    ids: Tensor
    counts: Tensor

    @classmethod
    def of(cls, reads: Sequence[Read], probe: Probe) -> ProbeBatch:
        """Utterances as one batch."""
        rows = [torch.from_numpy(read.codes.T.astype(np.int64)) for read in reads]
        ids = [torch.tensor(probe.ids(read.text), dtype=torch.int64) for read in reads]
        return cls(
            pad_sequence(rows, batch_first=True).transpose(1, 2),
            torch.tensor([len(row) for row in rows]),
            torch.cat(ids),
            torch.tensor([len(each) for each in ids]),
        )


class ProbeSteps(Dataset[ProbeBatch]):
    """Item n is the batch of step n: a pure function of the utterances, the seed and n."""

    def __init__(
        self, reads: Sequence[Read], probe: Probe, training: ProbeTraining, seed: int
    ) -> None:
        self.reads, self.probe, self.seed, self.length = reads, probe, seed, training.steps
        self.lengths = [read.codes.shape[1] for read in reads]
        self.budget = Budget(max_frames=training.batch_frames)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, step: int) -> ProbeBatch:
        chosen = step_batch(self.lengths, step, self.seed, self.budget)
        return ProbeBatch.of([self.reads[row] for row in chosen], self.probe)


class ProbeLearner(LightningModule):
    """A probe with its optimizer, and the weights with which it wrote the held-out texts best.

    What counts is the share of characters that are wrong, not the loss: CTC grows sure of itself,
    and its held-out loss rises long before it writes worse.
    """

    def __init__(self, probe: Probe, training: ProbeTraining) -> None:
        super().__init__()
        self.probe, self.training_options = probe, training
        self.best: dict[str, Tensor] = {}
        self.best_errors = float("inf")
        self._wrong, self._due = 0, 0

    def loss(self, batch: ProbeBatch) -> Tensor:
        """CTC loss for each character, averaged over the batch's characters."""
        scores, lengths = self.probe(batch.codes, batch.lengths)
        losses = ctc_losses(scores, lengths, batch.ids, batch.counts)
        return losses.sum() / batch.counts.sum().clamp(min=1)

    def training_step(self, batch: ProbeBatch, index: int) -> Tensor:
        loss = self.loss(batch)
        self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: ProbeBatch, index: int) -> None:
        scores, lengths = self.probe(batch.codes, batch.lengths)
        losses = ctc_losses(scores, lengths, batch.ids, batch.counts)
        count = int(batch.counts.sum())
        self.log("dev_loss", losses.sum() / max(1, count), batch_size=max(1, count))
        right = batch.ids.split(batch.counts.tolist())
        for written, ids in zip(greedy(scores, lengths), right, strict=True):
            out = jiwer.process_characters(self._spelt(ids.tolist()), self._spelt(written))
            self._wrong += out.substitutions + out.deletions + out.insertions
        self._due += count

    def on_validation_epoch_end(self) -> None:
        errors = self._wrong / max(1, self._due)
        self._wrong, self._due = 0, 0
        self.log("dev_cer", errors, prog_bar=True)
        if errors < self.best_errors:
            self.best_errors = errors
            self.best = {k: v.detach().clone() for k, v in self.probe.state_dict().items()}

    def _spelt(self, ids: Sequence[int]) -> str:
        return "".join(self.probe.alphabet[index - 1] for index in ids)

    def settle(self) -> None:
        """Put the best weights in the place of the last: the training is over."""
        if self.best:
            self.probe.load_state_dict(self.best)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["best"] = {"errors": self.best_errors, "weights": self.best}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.best_errors = checkpoint["best"]["errors"]
        self.best = checkpoint["best"]["weights"]

    def configure_optimizers(self) -> Any:
        training = self.training_options
        optimizer = torch.optim.Adam(self.parameters(), lr=training.lr)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rise_and_fall(step, training.steps)
        )
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def fit_probe(
    probe: Probe,
    train: Sequence[Read],
    dev: Sequence[Read],
    training: ProbeTraining,
    context: StageContext,
) -> None:
    """Train a probe in place, and leave it with the weights that write `dev` best (without `dev`,
    the last). A broken run goes on from its checkpoint. Raises DataError."""
    if not train:
        raise DataError("there is nothing to train a probe on: no utterance has codes and a text")
    learner = ProbeLearner(probe, training)
    dev = [read for read in dev if probe.ids(read.text)]
    checks = [ProbeBatch.of(dev[i : i + 32], probe) for i in range(0, len(dev), 32)]
    trainer = make_trainer(context, max_steps=training.steps, gradient_clip_val=training.clip)
    trainer.fit(
        learner,
        DataLoader(ProbeSteps(train, probe, training, context.seed), batch_size=None),
        DataLoader(checks, batch_size=None) if checks else None,
    )
    learner.settle()
