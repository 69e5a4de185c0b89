"""The preallocated key-value cache of a causal transformer, as a value.

A cache is a nested dict of tensors, so that it can be cloned, reordered and saved like any other
state. Letters: b (row), h (head), n (slot), l (step), w (width of a head).

    {"position": int64 [b],      # real steps taken by each row
     "reach": int64 [],          # on the CPU: no row stands beyond it
     "level": bool [],           # on the CPU: every row stands at it
     "layers": {"0": {"keys": [b, h, 1 + n, w], "values": [b, h, 1 + n, w]}, ...}}

Step p of a row lies in slot p + 1. Slot 0 takes the padding of right-padded chunks, so that the
other slots hold nothing but real steps. Writing is in place: after `append` the cache that was
passed in is spent. Whoever wants to go on twice from one point keeps a `clone`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from slmkit.api import State


def empty(
    batch: int,
    steps: int,
    layers: int,
    heads: int,
    width: int,
    like: Tensor,
) -> State:
    """A cache for `steps` steps of each of `batch` rows, of the dtype and device of `like`."""
    shape = (batch, heads, 1 + steps, width)
    return {
        "position": torch.zeros(batch, dtype=torch.int64, device=like.device),
        "reach": torch.zeros((), dtype=torch.int64),
        "level": torch.tensor(True),
        "layers": {
            str(layer): {"keys": like.new_zeros(shape), "values": like.new_zeros(shape)}
            for layer in range(layers)
        },
    }


@dataclass(frozen=True)
class Chunk:
    """Where a chunk of steps goes, and what it may see; the same for all layers.

    Attributes:
        positions: int64 [b, l], the position of each step in its row.
        slots: int64 [b, l], the slot that each step is written to.
        reach: r, an upper bound of every row's position after the chunk.
        level: whether all rows stand at `reach` after the chunk, without padding.
        position: int64 [b], the rows' positions after the chunk.
        whole: whether the cache is looked at in its whole length, whatever lies in it, so that the
            shapes of all steps are the same.
    """

    positions: Tensor
    slots: Tensor
    reach: int
    level: bool
    position: Tensor
    whole: bool = False

    @property
    def seen(self) -> Tensor:
        """Bool [b, 1, l, r], whether a step sees the r-th step of its row."""
        columns = torch.arange(self.reach, device=self.positions.device)
        return (columns <= self.positions[:, :, None])[:, None]

    def mask(self, dtype: torch.dtype) -> Tensor | None:
        """What is added to the scores [b, 1, l, r]; none where every step sees all."""
        if self.level and self.positions.shape[1] == 1 and not self.whole:
            return None
        seen = self.seen
        return torch.zeros_like(seen, dtype=dtype).masked_fill_(~seen, -torch.inf)


def chunk(state: State, steps: int, lengths: Tensor | None = None) -> Chunk:
    """Plan to append `steps` steps to each row, of which `lengths` [b] are real (None: all)."""
    start: Tensor = state["position"]
    offsets = torch.arange(steps, device=start.device)
    positions = start[:, None] + offsets
    slots = positions + 1
    if lengths is None:
        after = start + steps
    else:
        lengths = lengths.to(start.device)
        slots = torch.where(offsets < lengths[:, None], slots, 0)
        after = start + lengths
    level = lengths is None and bool(state["level"])
    reach = int(state["reach"]) + steps
    if level and reach > capacity(state):
        raise _full(state, steps)
    return Chunk(positions, slots, min(reach, capacity(state)), level, after)


def append(state: State, layer: int, keys: Tensor, values: Tensor, at: Chunk) -> tuple[Tensor, ...]:
    """Write a layer's keys and values [b, h, l, w] of a chunk; all up to now [b, h, r, w].

    Writes in place. Raises IndexError where a row would go beyond the cache.
    """
    held = state["layers"][str(layer)]
    if at.level and not at.whole:
        begin = at.reach - keys.shape[2] + 1
        for name, new in (("keys", keys), ("values", values)):
            held[name][:, :, begin : at.reach + 1] = new
    else:
        rows = torch.arange(keys.shape[0], device=keys.device)[:, None]
        for name, new in (("keys", keys), ("values", values)):
            try:
                held[name].transpose(1, 2)[rows, at.slots] = new.transpose(1, 2).to(
                    held[name].dtype
                )
            except IndexError:
                raise _full(state, keys.shape[2]) from None
    return held["keys"][:, :, 1 : 1 + at.reach], held["values"][:, :, 1 : 1 + at.reach]


def _full(state: State, steps: int) -> IndexError:
    return IndexError(
        f"the cache holds {capacity(state)} steps a row and cannot take {steps} more; "
        f"ask empty_state for more"
    )


def of_static_shape(at: Chunk, state: State) -> Chunk:
    """The same chunk looking at all of the cache: its tensors alone tell one step from another."""
    return replace(at, reach=capacity(state), whole=True)


def advance(state: State, at: Chunk) -> State:
    """The cache after a chunk that every layer has appended."""
    told = {"reach": torch.tensor(at.reach), "level": torch.tensor(at.level)}
    return {**state, "position": at.position, **told}


def capacity(state: State) -> int:
    """Steps that fit into each row."""
    return int(state["layers"]["0"]["keys"].shape[2]) - 1


def clone(state: State) -> State:
    """A copy that shares nothing."""
    return {
        name: clone(value) if isinstance(value, dict) else value.clone()
        for name, value in state.items()
    }


def select(state: State, rows: Tensor) -> State:
    """The rows of these numbers [any], in this order; repeats are allowed (beams, samples)."""
    chosen: State = {}
    for name, value in state.items():
        if isinstance(value, dict):
            chosen[name] = select(value, rows)
        else:
            chosen[name] = value[rows] if value.dim() else value.clone()
    return chosen
