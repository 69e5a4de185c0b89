"""The transcriber `ctc` and its training: learning, augmentation, batches, checks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from slmkit.api import DataError
from slmkit.host import build
from slmkit.training.augment import FLOOR, TEMPO, worsen
from slmkit.training.ctc import (
    CtcBatch,
    CtcLearner,
    CtcTraining,
    Heard,
    Steps,
    fit_ctc,
    rise_and_fall,
)

TONES = {"a": 400.0, "b": 900.0, "c": 1800.0}
TRAINING = CtcTraining(steps=250, lr=1e-2, batch_frames=1500)


class Context:
    """A stage's context with nothing around it."""

    seed = 0
    trainer: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def progress(self, text: str, total: int | None = None) -> Iterator[Any]:
        yield lambda *_, **__: None


def small(**options: Any) -> Any:
    return build("transcriber", "ctc", {"width": 32, "layers": 2, "kernel": 5, **options})


def beeps(text: str, seed: int = 0) -> torch.Tensor:
    """A tone of 0.12 s for each letter, with pauses."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(1920) / 16000
    pause = torch.zeros(960)
    parts = [pause]
    for letter in text:
        parts += [0.2 * torch.sin(2 * torch.pi * TONES[letter] * time), pause]
    wav = torch.cat(parts)
    return wav + 0.001 * torch.randn(len(wav), generator=generator)


def heard(model: Any, text: str, seed: int = 0) -> Heard:
    wav = beeps(text, seed)
    log_mel, _ = model.features(wav[None], torch.tensor([len(wav)]))
    return Heard(log_mel[0].half(), torch.tensor(model.ids(text)))


def texts(count: int, seed: int) -> list[str]:
    generator = torch.Generator().manual_seed(seed)
    return [
        "".join("abc"[i] for i in torch.randint(0, 3, (3 + n % 3,), generator=generator))
        for n in range(count)
    ]


def test_it_learns_to_write_what_it_hears(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = small()
    train = [heard(model, text, n) for n, text in enumerate(texts(60, 1))]
    unheard = sorted(set(texts(30, 2)) - set(texts(60, 1)))[:8]
    assert len(unheard) >= 4
    fit_ctc(model, train, train[:8], TRAINING, Context(tmp_path))
    written = [
        model.transcribe(wav[None], torch.tensor([len(wav)]))[0]
        for wav in (beeps(text, 99) for text in unheard)
    ]
    right = sum(a == b for a, b in zip(written, unheard, strict=True))
    assert right >= 0.75 * len(unheard), list(zip(written, unheard, strict=True))


def test_scores_of_a_row_are_the_same_in_any_padding() -> None:
    torch.manual_seed(0)
    model = small().eval()
    rows = [heard(model, text) for text in ("a", "abc", "ab")]
    batch = CtcBatch.of(rows)
    with torch.inference_mode():
        together, lengths = model.logits(batch.log_mel, batch.lengths)
        for row, one in enumerate(rows):
            alone, length = model.logits(one.log_mel[None].float(), batch.lengths[row : row + 1])
            assert int(length[0]) == int(lengths[row]) == alone.shape[1]
            torch.testing.assert_close(together[row, : int(length[0])], alone[0], atol=1e-5, rtol=0)
        dirty = batch.log_mel.clone()
        dirty[0, int(batch.lengths[0]) :] = 7.0
        again, _ = model.logits(dirty, batch.lengths)
        torch.testing.assert_close(again[0, : int(lengths[0])], together[0, : int(lengths[0])])


def test_it_hears_no_further_than_its_layers_reach() -> None:
    torch.manual_seed(0)
    model = small().eval()
    log_mel = torch.randn(1, 200, 64, requires_grad=True)
    scores, _ = model.logits(log_mel, torch.tensor([200]))
    scores[0, 50].sum().backward()
    assert log_mel.grad is not None
    touched = log_mel.grad[0].abs().sum(dim=1).nonzero().flatten()
    reach = 2 * 2 * 2 + 2  # two layers of two frames of 20 ms to either side, then the first
    assert touched.min() >= 100 - reach
    assert touched.max() <= 100 + reach


def test_repetitions_merge_unless_a_blank_is_between() -> None:
    model = small(alphabet="ab ")
    path = torch.tensor([0, 1, 1, 0, 1, 2, 2, 3, 3, 0, 3, 1, 0])
    assert model._text(path) == "aab a"


def test_text_is_written_in_lower_case_without_punctuation() -> None:
    model = small()
    assert model.ids("Don't, STOP.") == model.ids("don't stop")
    with pytest.raises(DataError, match=r"cannot write '3', 'ä'.*alphabet"):
        model.ids("3 bär")


def test_augmentation_follows_the_seed_and_keeps_its_promises() -> None:
    log_mel = torch.randn(4, 90, 64) - 4
    lengths = torch.tensor([90, 71, 40, 5])
    torch.manual_seed(1)
    first, first_lengths = worsen(log_mel, lengths)
    torch.manual_seed(1)
    second, _ = worsen(log_mel, lengths)
    third, _ = worsen(log_mel, lengths)
    assert torch.equal(first, second)
    assert not (first.shape == third.shape and torch.equal(first, third))
    assert torch.isfinite(first).all()
    assert first.min() >= FLOOR
    assert first.shape[1] == first_lengths.max()
    ratio = first_lengths / lengths
    assert (ratio <= 1 + TEMPO).all()
    assert (first_lengths >= (lengths / (1 + TEMPO)).floor()).all()


def test_a_step_is_a_pure_function_of_seed_and_number() -> None:
    model = small()
    rows = [heard(model, text, n) for n, text in enumerate(texts(20, 5))]
    training = CtcTraining(steps=9, lr=1e-3, batch_frames=400)
    one, two, other = (Steps(rows, training, seed) for seed in (0, 0, 1))
    for step in (7, 2, 7):
        assert torch.equal(one[step].log_mel, two[step].log_mel)
        assert torch.equal(one[step].ids, two[step].ids)
    assert any(not torch.equal(one[n].ids, other[n].ids) for n in range(6))


def test_the_loss_is_that_of_each_row_alone() -> None:
    torch.manual_seed(0)
    model = small(dropout=0.0).eval()
    learner = CtcLearner(model, TRAINING)
    rows = [heard(model, text) for text in ("ab", "cab", "b")]
    letters = [len(row.ids) for row in rows]
    with torch.inference_mode():
        alone = [float(learner.loss(CtcBatch.of([row]))) for row in rows]
        together = float(learner.loss(CtcBatch.of(rows)))
    assert together == pytest.approx(
        sum(loss * n for loss, n in zip(alone, letters, strict=True)) / sum(letters), rel=1e-4
    )


@pytest.mark.parametrize("steps", [1, 2, 9, 100])
def test_the_learning_rate_rises_then_falls(steps: int) -> None:
    rates = [rise_and_fall(step, steps) for step in range(steps + 1)]
    assert max(rates) == 1.0
    assert all(0 <= rate <= 1 for rate in rates)
    top = rates.index(1.0)
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_nothing_to_learn_from_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to train"):
        fit_ctc(small(), [], [], TRAINING, Context(tmp_path))
