"""How long merged units last, told as they come: the duration predictor in chunks.

Letters: b (batch), u (unit), t (frame).
"""

from __future__ import annotations

import torch
from torch import Tensor

from slmkit.api import Codes, MisfitError, State
from slmkit.codecs.hifigan import UnitHifiGan

REACH = 2
"""Units to either side that the predictor's two convolutions of three see."""


def empty_state() -> State:
    """The state before the first unit."""
    return {"units": torch.zeros(1, 0, dtype=torch.int64), "told": torch.tensor(0)}


def step(
    generator: UnitHifiGan, units: Tensor, state: State, last: bool = False
) -> tuple[Tensor, State]:
    """A unit a frame [1, t] of the merged units [1, u] whose durations are certain by now.

    The last two wait for what follows them, or for `last`; two before those not yet told are kept,
    for the predictor to see.
    """
    units = torch.cat([state["units"].to(units.device), units], dim=1)
    told, count = int(state["told"]), units.shape[1]
    certain = count if last else max(told, count - REACH)
    if certain == told:
        return units[:, :0], {"units": units, "told": state["told"]}
    predictor = generator.dur_predictor
    frames = predictor.frames(predictor(generator.dict(units)))
    said = torch.repeat_interleave(units[0, told:certain], frames[0, told:certain])
    before = min(certain, REACH)
    state = {"units": units[:, certain - before :], "told": torch.tensor(before)}
    return said[None], state


def one_row(codes: Codes) -> None:
    """Raise MisfitError where merged units of several utterances are to be streamed."""
    if len(codes) != 1:
        raise MisfitError(
            f"unit-hifigan: merged units of {len(codes)} utterances last differently and cannot be "
            "streamed side by side: stream them one by one"
        )
