"""The laws of refiners. Letters: k (codebook), g (codebooks that are given), t (frame)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from slmkit.api import CodeSpec, Draft, Refiner

SPEC = CodeSpec(24000, 320, (7, 8, 9, 9))
GIVEN, WORDS = 1, 11
FRAMES = (12, 5, 1, 0)
STEPS = 40
"""Draws of what is hidden after which every weight must have learnt something."""


def refiner_laws(make: Callable[[CodeSpec, int, int], Refiner], folder: Path) -> None:
    """Hold a refiner to its contract; `make(spec, given, words)` builds it, with whatever weights.

    It keeps what it is given, completes every frame within the codebooks, draws for each utterance
    alone, answers the same alone and in any batch, saved and restored; every weight learns. Raises
    AssertionError, which says what is broken.
    """
    part = _still(make(SPEC, GIVEN, WORDS))
    drafts, codes = examples()
    found = part.refine(drafts, draws(len(drafts)))
    for draft, completed in zip(drafts, found, strict=True):
        _completes(draft, completed)
    again = part.refine(drafts, draws(len(drafts)))
    assert _same(again, found), "the same drafts and draws give the same codes"
    for row, draft in enumerate(drafts):
        alone = part.refine([draft], draws(len(drafts))[row : row + 1])
        assert _same(alone, found[row : row + 1]), f"draft {row} is completed otherwise alone"
    _learns(make(SPEC, GIVEN, WORDS), drafts, codes)
    part.save(folder)
    restored = _still(make(SPEC, GIVEN, WORDS))
    restored.restore(folder)
    assert _same(restored.refine(drafts, draws(len(drafts))), found), "restored, it refines alike"


def examples(seed: int = 0) -> tuple[list[Draft], list[np.ndarray]]:
    """Drafts with and without text, prompt and frames, and codes that are due after them."""
    draw = np.random.default_rng(seed)

    def some(frames: int) -> np.ndarray:
        return np.stack([draw.integers(0, size, frames) for size in SPEC.codebook_sizes])

    codes = [some(frames) for frames in FRAMES]
    drafts = [
        Draft(draw.integers(0, WORDS, words), some(prompt), each[:GIVEN])
        for each, words, prompt in zip(codes, (6, 0, 3, 2), (3, 4, 0, 0), strict=True)
    ]
    return drafts, codes


def draws(count: int) -> list[torch.Generator]:
    """A random stream for each draft."""
    return [torch.Generator().manual_seed(seed) for seed in range(count)]


def _completes(draft: Draft, codes: np.ndarray) -> None:
    wanted = (SPEC.codebooks, draft.coarse.shape[1])
    assert codes.shape == wanted, f"codes are [k, t]: {codes.shape}, not {wanted}"
    assert codes.dtype == np.int64, f"codes are int64, not {codes.dtype}"
    assert (codes[:GIVEN] == draft.coarse).all(), "the codes that are given stay as they are"
    sizes = np.array(SPEC.codebook_sizes)[:, None]
    assert ((codes >= 0) & (codes < sizes)).all(), "codes lie within their codebooks"


def _learns(part: Refiner, drafts: Sequence[Draft], codes: Sequence[np.ndarray]) -> None:
    """What is hidden changes, and in time every weight that is not for speech prompts alone."""
    assert isinstance(part, torch.nn.Module), "a refiner is a torch Module"
    told = [(draft, each) for draft, each in zip(drafts, codes, strict=True) if each.shape[1]]
    kept, due = [draft for draft, _ in told], [each for _, each in told]
    losses = []
    for step in range(STEPS):
        loss = part.loss(kept, due, torch.Generator().manual_seed(step))
        assert bool(torch.isfinite(loss)), "the loss is a number"
        losses.append(float(loss.detach()))
        loss.backward()
    assert len(set(losses)) > 1, "the draw decides what is hidden"
    idle = [name for name, p in part.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle, f"no gradient reaches {', '.join(idle[:3])}"


def _still(part: Refiner) -> Refiner:
    module: object = part
    assert isinstance(module, torch.nn.Module), "a refiner is a torch Module"
    module.eval()
    return part


def _same(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
