"""Refiners: what they learn, and that the laws find those who break them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from slmkit_decoding.plugin import SoundStormOptions
from slmkit_decoding.sounds import UNKNOWN
from slmkit_decoding.soundstorm import SoundStorm
from torch import Tensor, nn

from slmkit.api import CodeSpec, Draft, MisfitError, OptionsError, Refiner
from slmkit.host import build
from slmkit.testing import refiner_laws
from slmkit.testing.refiners import draws

SPEC = CodeSpec(24000, 320, (6, 6, 6))
SMALL = {"width": 32, "heads": 2, "layers": 2, "dropout": 0.0}


def world(seed: int, count: int) -> tuple[list[Draft], list[np.ndarray]]:
    """Utterances whose fine codes are the coarse ones moved on by the voice, which speech before
    them tells: book k is book 0 plus k times the voice."""
    draw = np.random.default_rng(seed)
    drafts, codes = [], []
    for _ in range(count):
        voice = draw.integers(0, 2)
        coarse = draw.integers(0, 6, (2, 10))
        said, before = (np.stack([(c + k * voice) % 6 for k in range(3)]) for c in coarse)
        drafts.append(Draft(np.zeros(0, np.int64), before[:, :5], said[:1]))
        codes.append(said)
    return drafts, codes


def learnt(name: str, steps: int) -> Refiner:
    torch.manual_seed(0)
    refiner = build("refiner", name, SMALL, spec=SPEC, given=1, words=3)
    optimizer = torch.optim.AdamW(refiner.parameters(), lr=4e-3)
    refiner.train()
    for step in range(steps):
        optimizer.zero_grad()
        refiner.loss(*world(step, 16), torch.Generator().manual_seed(step)).backward()
        optimizer.step()
    refiner.eval()
    return refiner


def right(refiner: Refiner, drafts: Sequence[Draft], codes: Sequence[np.ndarray]) -> float:
    found = refiner.refine(drafts, draws(len(drafts)))
    return float(np.mean([a == b for a, b in zip(found, codes, strict=True)]))


@pytest.mark.parametrize("name", ["valle-nar", "soundstorm"])
def test_it_learns_to_keep_a_voice(name: str) -> None:
    refiner = learnt(name, 150)
    drafts, codes = world(9999, 32)
    heard = right(refiner, drafts, codes)
    deaf = [Draft(d.text, d.prompt[:, :0], d.coarse) for d in drafts]
    assert heard > 0.9
    assert right(refiner, deaf, codes) < heard - 0.1, "without the voice it can only guess"


@pytest.mark.parametrize("steps", [1, 3])
def test_training_masks_what_a_pass_finds_masked(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    refiner = SoundStorm(SoundStormOptions(**SMALL, steps=steps), SPEC, 1, 3)
    told, seen = refiner._hidden_states, []

    def spy(codes: Tensor, real: Tensor) -> Tensor:
        seen.extend(tuple(row) for row in (codes == UNKNOWN).sum(dim=2).tolist())
        return told(codes, real)

    monkeypatch.setattr(refiner, "_hidden_states", spy)
    drafts, codes = world(0, 4)  # they have a prompt, so that none lends its beginning
    refiner.refine(drafts, draws(4))
    asked = set(seen)
    seen.clear()
    for step in range(40):
        refiner.loss(drafts, codes, torch.Generator().manual_seed(step))
    assert set(seen) == asked
    assert len(asked) == steps + 1, "so many passes over the second codebook, one over the third"


class Forgets(SoundStorm):
    def refine(self, drafts: Sequence[Draft], draws: Sequence[torch.Generator]) -> list[np.ndarray]:
        return [np.zeros_like(each) for each in super().refine(drafts, draws)]


class Shares(SoundStorm):
    def refine(self, drafts: Sequence[Draft], draws: Sequence[torch.Generator]) -> list[np.ndarray]:
        return super().refine(drafts, [draws[0]] * len(drafts))


class Idle(SoundStorm):
    def __init__(self, spec: CodeSpec, given: int, words: int) -> None:
        super().__init__(SoundStormOptions(**SMALL, steps=2), spec, given, words)
        self.unused = nn.Linear(3, 3)


class Shy(SoundStorm):
    def loss(
        self, drafts: Sequence[Draft], codes: Sequence[np.ndarray], draw: torch.Generator
    ) -> Tensor:
        return super().loss(drafts, codes, torch.Generator().manual_seed(0))


def of(broken: type[SoundStorm]) -> object:
    def make(spec: CodeSpec, given: int, words: int) -> Refiner:
        torch.manual_seed(0)
        return broken(SoundStormOptions(**SMALL, steps=2), spec, given, words)

    return make


@pytest.mark.parametrize(
    ("make", "law"),
    [
        (of(Forgets), "stay as they are"),
        (of(Shares), "is completed otherwise alone"),
        (Idle, "no gradient reaches unused"),
        (of(Shy), "the draw decides"),
    ],
)
def test_a_refiner_that_breaks_a_law_is_found(make: object, law: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=law):
        refiner_laws(make, tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["ar-nar", "soundstorm"])
def test_one_codebook_leaves_nothing_to_refine(name: str) -> None:
    with pytest.raises(MisfitError, match="there is only one"):
        build("decoding", name).plan(CodeSpec(16000, 320, (500,)))


@pytest.mark.parametrize(
    "options", [{"width": 30, "heads": 4}, {"dropout": 1.0}, {"steps": 0}, {"temperature": -1}]
)
def test_odd_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(OptionsError):
        build("refiner", "soundstorm", options, spec=SPEC, given=1, words=3)
