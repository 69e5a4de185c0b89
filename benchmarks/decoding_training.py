"""Training of `flat` with packing beside `transformers.Trainer`: the same model, the same examples.

Both take AdamW steps of as many tokens, at the precision that is fast on the machine. The Trainer
pads its batches; it is timed with examples in random order and grouped by length, and the faster
of the two is the peer.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.decoding_peers import UNITS, llama_of_transformers, model
from benchmarks.rows import Row
from benchmarks.timing import faster_peer
from slmkit.api import Speech, Text
from slmkit.lm.grid import Grid
from slmkit.training.lm import fit_lm
from slmkit.training.options import LmTraining
from slmkit.training.precision import fast_precision

EXAMPLES, STEPS, TOKENS = 200, 6, 4096
PROMPT = "what is said, spelt out "


@dataclass
class Bare:
    """A stage's context outside of a run."""

    folder: Path
    seed: int = 0
    trainer: dict[str, Any] = field(default_factory=lambda: {"logger": False})

    def progress(self, text: str, total: int | None = None) -> Any:
        return contextlib.nullcontext(lambda done, total=None, text="": None)

    def say(self, line: str) -> None:
        """Nobody listens."""


def training(rounds: int) -> Iterator[Row]:
    """Tokens a second that are no padding."""
    lm = model("flat", spec=UNITS).train()
    grids = examples(lm)
    theirs = llama_of_transformers(lm).train()
    found: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        works = {
            "slmkit": lambda: ours(lm, grids),
            "transformers.Trainer, random": lambda: peer(theirs, grids, "random"),
            "transformers.Trainer, grouped by length": lambda: peer(
                theirs, grids, "group_by_length"
            ),
        }
        for name, work in works.items():
            tokens, seconds = work()
            if number:
                found.setdefault(name, []).append(seconds / tokens)
    name, ratio = faster_peer(found, "slmkit")
    what = f"training of flat with packing: tokens a second over {name}"
    yield Row(what, ratio, "x", 1.3, "at least", n=rounds)
    rate = 1 / float(np.median(found["slmkit"]))
    yield Row("training of flat with packing: tokens", rate, "/s", n=rounds)


def examples(lm: Any) -> list[Grid]:
    """Utterances of two to forty seconds, most of them short, as lists of units after a text."""
    draw = np.random.default_rng(0)
    lengths = np.exp(draw.uniform(np.log(25), np.log(500), EXAMPLES)).astype(int)
    codes = [draw.integers(lm.spec.codebook_sizes[0], size=(1, n)) for n in lengths]
    return [lm.lay([Text(PROMPT, learn=True), Speech(each, learn=True)]) for each in codes]


def ours(lm: Any, grids: list[Grid]) -> tuple[int, float]:
    """Tokens learnt from, and the seconds that they took."""
    options = LmTraining(steps=STEPS, batch_tokens=TOKENS, packing=True, warmup=0)
    seen = _Seen(lm)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        fit_lm(lm, grids, [], options, Bare(Path(folder)))  # type: ignore[arg-type]
        return seen.stop(), time.perf_counter() - begun


class _Seen:
    """Counts the tokens of the batches that a model is given."""

    def __init__(self, lm: Any) -> None:
        self.lm, self.count, self.loss = lm, 0, lm.loss
        lm.loss = self._loss

    def _loss(self, batch: Any, *rest: Any) -> Any:
        self.count += int(batch.learn.any(dim=1).sum())
        return self.loss(batch, *rest)

    def stop(self) -> int:
        """The tokens so far; nothing is counted any more."""
        del self.lm.loss
        return self.count


def peer(theirs: Any, grids: list[Grid], order: str) -> tuple[int, float]:
    """The same of `transformers.Trainer`."""
    from transformers import Trainer, TrainingArguments

    rows = [{"input_ids": grid.tokens[0].tolist()} for grid in grids]
    mean = float(np.mean([len(row["input_ids"]) for row in rows]))
    count = 0

    def seen(_: Any, __: Any, given: dict[str, Any]) -> None:
        # where they are read, because the loader is a batch ahead
        nonlocal count
        count += int(given["attention_mask"][:, 1:].sum())

    def collate(batch: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        lengths = torch.tensor([len(row["input_ids"]) for row in batch])
        real = torch.arange(int(lengths.max())) < lengths[:, None]
        ids = torch.zeros(real.shape, dtype=torch.int64)
        ids[real] = torch.tensor([i for row in batch for i in row["input_ids"]])
        labels = ids.masked_fill(~real, -100)
        return {"input_ids": ids, "attention_mask": real.long(), "labels": labels}

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=STEPS,
            per_device_train_batch_size=round(TOKENS / mean),
            train_sampling_strategy=order,
            bf16=fast_precision() == "bf16-mixed",
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
        )
        trainer = Trainer(theirs, arguments, train_dataset=rows, data_collator=collate)
        handle = theirs.register_forward_pre_hook(seen, with_kwargs=True)
        begun = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - begun
        handle.remove()
        return count, seconds
