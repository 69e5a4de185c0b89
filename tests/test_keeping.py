"""Models kept in the course of a training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from toy_lm import Place, examples, model

from slmkit.lm.saving import load_lm
from slmkit.training.keeping import Keeping, kept_in
from slmkit.training.lm import fit_lm
from slmkit.training.options import LmTraining

STEPS = 7


@pytest.mark.parametrize("ema", [0.0, 0.8])
def test_keeping_watches_and_changes_nothing(ema: float, tmp_path: Path) -> None:
    """The last that is kept is the model that the training leaves, its average if it has one; and
    the training ends as one of which nothing is kept."""
    training = LmTraining(steps=STEPS, lr=1e-2, warmup=1, batch_items=2, ema=ema)
    ended = {}
    for kept in (0, 3):
        lm = model()
        place = Place(tmp_path / str(kept))
        place.folder.mkdir()
        watchers = [Keeping(lm, place.folder, STEPS, kept)] if kept else []
        fit_lm(lm, examples(lm, [5, 6, 7]), examples(lm, [4], 1), training, place, watchers)  # type: ignore[arg-type]
        ended[kept] = lm.state_dict()
    assert all(torch.equal(ended[3][name], ended[0][name]) for name in ended[0])
    assert not kept_in(tmp_path / "0")
    found = kept_in(tmp_path / "3")
    assert [step for step, _ in found] == [2, 4, 7]
    first, _, last = (load_lm(place).state_dict() for _, place in found)
    assert all(torch.equal(last[name], ended[3][name]) for name in last)
    assert any(not torch.equal(first[name], last[name]) for name in last)
