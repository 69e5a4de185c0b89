"""The laws of backbones. Letters: b (batch), l (step), d (width)."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slmkit.api import Backbone, MisfitError

TOLERANCE = 1e-4
"""Sums of floats may come out in another order step by step."""
LENGTHS = ((0, 9), (1, 6))
"""Rows and their steps."""
CHUNKS = ((4, 1), (1, 1), (1, 1), (3, 3))
"""Steps that each of two rows takes at a time: nine of the one, six of the other."""


def backbone_laws(make: Callable[[], Backbone], folder: Path) -> None:
    """Hold a backbone to its contract; `make` builds it, with whatever weights.

    Raises AssertionError, which says what is broken.
    """
    part = _still(make())
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 9, part.width, generator=generator)
    whole = _whole(part, x)
    assert whole.shape == x.shape, f"{list(x.shape)} came out as {list(whole.shape)}"
    assert bool(torch.isfinite(whole).all()), "hidden states are finite"
    _no_future(part, x)
    for row, length in enumerate((9, 6)):
        alone = _whole(part, x[row : row + 1, :length])
        _close(alone[0], whole[row, :length], f"row {row} alone differs from the batch")
    _packed(part, x)
    _steps(part, x, whole)
    if part.reads_prefix:
        _prefixed(part, x)
    part.save(folder)
    restored = _still(make())
    restored.restore(folder)
    _close(_whole(restored, x), whole, "saved and restored, it answers otherwise")


def _still(part: Backbone) -> Backbone:
    """Without dropout, where it has any."""
    module: object = part
    assert isinstance(module, torch.nn.Module), "a backbone is a torch Module"
    module.eval()
    return part


def _whole(part: Backbone, x: Tensor) -> Tensor:
    with torch.no_grad():
        return part.forward(x)


def _no_future(part: Backbone, x: Tensor) -> None:
    """By gradient: what comes out at a step does not move with what goes in later."""
    step = x.shape[1] // 2
    given = x.clone().requires_grad_()
    weights = torch.linspace(-1, 1, x.shape[2]) ** 3
    (part.forward(given)[:, step] * weights).sum().backward()
    assert given.grad is not None
    assert not given.grad[:, step + 1 :].any(), "a step must not see what comes after it"
    assert bool(given.grad[:, step].any(dim=-1).all()), "a step sees itself"


def _packed(part: Backbone, x: Tensor) -> None:
    """Examples end to end in one row are what they are alone; who cannot do it says so."""
    if "positions" not in inspect.signature(part.forward).parameters:
        return
    alone = [_whole(part, x[row : row + 1, :length]) for row, length in enumerate((5, 9))]
    row = torch.cat((x[:1, :5], x[1:]), dim=1)
    positions = torch.cat((torch.arange(5), torch.arange(9)))[None]
    try:
        with torch.no_grad():
            packed = part.forward(row, positions)
    except MisfitError:
        return
    _close(packed, torch.cat(alone, dim=1), "examples packed in one row see each other")


def _steps(part: Backbone, x: Tensor, whole: Tensor) -> None:
    """Rows at different places, a chunk at a time, give what the whole gives; a copy of the state
    goes on by itself."""
    state = part.empty_state(len(x), x.shape[1])
    at = [0] * len(x)
    for takes in CHUNKS:
        chunk = torch.full((len(x), max(takes), x.shape[2]), 0.5)
        for row, count in enumerate(takes):
            chunk[row, :count] = x[row, at[row] : at[row] + count]
        lengths = None if len(set(takes)) == 1 else torch.tensor(takes)
        kept = copy.deepcopy(state)
        with torch.no_grad():
            hidden, state = part.step(chunk, state, lengths)
            again, _ = part.step(chunk, kept, lengths)
        for row, count in enumerate(takes):
            expected = whole[row, at[row] : at[row] + count]
            where = f"row {row}, steps {at[row]} to {at[row] + count}"
            _close(hidden[row, :count], expected, f"{where}: stepwise differs from the whole")
            _close(again[row, :count], expected, f"{where}: a copy of the state is not its own")
            at[row] += count


def _prefixed(part: Any, x: Tensor) -> None:
    """A prefix sees itself, both ways or causally, and nothing behind it; what follows sees it;
    alone, in a batch, packed, and stepwise alike. Rows of nine and six steps have prefixes of four
    and two."""
    prefix = torch.arange(9) < torch.tensor([[4], [2]])
    with torch.no_grad():
        whole = part.forward(x, prefix=prefix)
        plain = part.forward(x)
        alone = [part.forward(x[r : r + 1, :n], prefix=prefix[r : r + 1, :n]) for r, n in LENGTHS]
        for (row, length), one in zip(LENGTHS, alone, strict=True):
            _close(one[0], whole[row, :length], f"row {row} with its prefix differs in a batch")
        assert not torch.allclose(whole, plain), "a prefix is read as any other step"
        reached = []
        for at in range(9):
            changed = x.clone()
            changed[0, at] *= -1  # a constant would be lost in a layer norm
            moved = (part.forward(changed, prefix=prefix)[0] - whole[0]).abs().amax(dim=1)
            reached.append([step for step, by in enumerate(moved.tolist()) if by > 0])
        both_ways = 0 in reached[1]
        for at, steps in enumerate(reached):
            due = list(range(0 if both_ways and at < 4 else at, 9))
            assert steps == due, f"a change of step {at} reaches {steps}, not {due}"
        if "positions" in inspect.signature(part.forward).parameters:
            places = torch.cat([torch.arange(n) for _, n in LENGTHS])[None]
            row = torch.cat([x[r : r + 1, :n] for r, n in LENGTHS], dim=1)
            given = torch.cat([prefix[r : r + 1, :n] for r, n in LENGTHS], dim=1)
            packed = part.forward(row, places, prefix=given)
            _close(packed, torch.cat(alone, dim=1), "packed examples with prefixes differ")
        state, late = part.empty_state(2, 9), torch.tensor([5, 2])
        first, state = part.step(x[:, :5], state, late, prefix=prefix[:, :5])
        rest = torch.stack([x[0, 5:9], x[1, 2:6]])
        then = []
        for at in range(4):
            hidden, state = part.step(rest[:, at : at + 1], state)
            then.append(hidden)
        for row, begun in enumerate(late.tolist()):
            found = torch.cat([first[row, :begun], *(each[row] for each in then)])
            _close(found, whole[row, : begun + 4], f"row {row} with a prefix differs stepwise")


def _close(found: Tensor, expected: Tensor, fault: str) -> None:
    apart = float((found - expected).abs().max())
    assert apart <= TOLERANCE, f"{fault} (by {apart:g})"
