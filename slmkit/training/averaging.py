"""A moving average of the weights (Polyak & Juditsky 1992), that is checked on and kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor
from torch.nn import Parameter

from slmkit.api import MisfitError


class Averaging(Callback):
    """After each optimizer step the average moves by 1 - decay towards the weights.

    It is unbiased as Adam's moments are (Kingma & Ba 2015): the first weights count no more than
    any others, so that it is of use in short trainings too. Held-out losses are measured with it.
    The weights themselves go on from where they were, and checkpoints hold both. Of a module of
    several parts only the weights whose names begin with `part` are averaged; where several
    optimizers take a step each, the average moves once.
    """

    def __init__(self, decay: float, part: str = "") -> None:
        self.decay, self.part = decay, part
        self.steps = self.moves = 0
        self.average: dict[str, Tensor] = {}
        self._aside: dict[str, Tensor] = {}

    def setup(self, trainer: Trainer, module: LightningModule, stage: str) -> None:
        if not isinstance(trainer.strategy, SingleDeviceStrategy | DDPStrategy):
            raise MisfitError(
                f"an average of the weights needs them whole on each device, and "
                f"{type(trainer.strategy).__name__} parts them: take trainer.strategy=ddp or ema: 0"
            )

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        # what comes from a checkpoint lies on the CPU
        for name, parameter in learnt(module):
            if name in self.average:
                self.average[name] = self.average[name].to(parameter.device)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        if trainer.global_step == self.steps:
            return  # gradients are still being gathered
        self.steps = trainer.global_step
        self.moves += 1
        share = (1 - self.decay) / (1 - self.decay**self.moves)
        for name, parameter in learnt(module):
            if not name.startswith(self.part):
                continue
            if name in self.average:
                self.average[name].lerp_(parameter, share)
            else:
                self.average[name] = parameter.detach().clone()

    def on_validation_start(self, trainer: Trainer, module: LightningModule) -> None:
        if self.average:
            self._aside = {name: p.detach().clone() for name, p in learnt(module)}
            put(self.average, module)

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        put(self._aside, module)
        self._aside = {}

    def settle(self, module: LightningModule) -> None:
        """Put the average in the place of the weights: the training is over."""
        put(self.average, module)

    def state_dict(self) -> dict[str, Any]:
        """What goes into a checkpoint."""
        return {"steps": self.steps, "moves": self.moves, "average": self.average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What comes from a checkpoint."""
        self.steps, self.moves = state["steps"], state["moves"]
        self.average = state["average"]


def learnt(module: LightningModule) -> Iterator[tuple[str, Parameter]]:
    """The weights that a training moves, by name."""
    return ((name, p) for name, p in module.named_parameters() if p.requires_grad)


@torch.no_grad()  # type: ignore[untyped-decorator]
def put(tensors: dict[str, Tensor], module: LightningModule) -> None:
    """Write tensors into the weights of the same names."""
    for name, parameter in learnt(module):
        if name in tensors:
            parameter.copy_(tensors[name])
