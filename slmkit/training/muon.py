"""Muon for the matrices of a network and AdamW for the rest, as one optimizer.

Muon (Jordan et al. 2024) steps by the nearest orthogonal matrix to the momentum; small speech
language models learn to align text and units in a third of the steps that AdamW takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import AdamW, Muon, Optimizer

from slmkit.api import MisfitError

BETAS = (0.9, 0.95)


class MuonAdamW(Optimizer):
    """`matrices` by Muon, `others` by AdamW without decay; both at one learning rate, to which
    Muon's steps are scaled (Liu et al. 2025). Raises MisfitError for a matrix that is none."""

    def __init__(
        self, matrices: Iterable[Parameter], others: Iterable[Parameter], lr: float, decay: float
    ) -> None:
        matrices = list(matrices)
        if any(parameter.dim() != 2 for parameter in matrices):
            raise MisfitError("Muon trains matrices alone, this backbone has larger tensors: adamw")
        self.inner: list[Optimizer] = [
            Muon(matrices, lr=lr, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
            AdamW(others, lr=lr, betas=BETAS, weight_decay=0.0),
        ]
        super().__init__([group for one in self.inner for group in one.param_groups], {})

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of both. Groups are shared with the two: a schedule that sets their learning
        rates is obeyed."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for one in self.inner:
            one.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of both."""
        return {"inner": [one.state_dict() for one in self.inner]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        for one, state in zip(self.inner, state_dict["inner"], strict=True):
            one.load_state_dict(state)
        # loading makes new groups: these are to stay the shared ones
        self.param_groups = [group for one in self.inner for group in one.param_groups]
