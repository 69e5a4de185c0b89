"""torch.compile of a backbone for the time of a training, or a line that says why not."""

from __future__ import annotations

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from slmkit.api import StageContext
from slmkit.lm.grid import GridBatch
from slmkit.lm.speechlm import SpeechLM


class Compiling(Callback):
    """Compiles the backbone in place, so that its weights keep their names.

    Compilers fail in many ways, and first when they are used: one batch is tried before the first
    step, and what cannot be compiled is trained as it is.
    """

    def __init__(self, lm: SpeechLM, batch: GridBatch, context: StageContext) -> None:
        self.lm, self.batch, self.context = lm, batch, context

    def on_train_start(self, trainer: Trainer, module: LightningModule) -> None:
        self.lm.backbone.compile()
        learnable = [p for p in self.lm.parameters() if p.requires_grad]
        try:
            with trainer.precision_plugin.forward_context():
                loss = self.lm.loss(self.batch.to(module.device))
            # no .backward(): gradients are nobody's, and other processes must not hear of them
            torch.autograd.grad(loss, learnable, allow_unused=True)
        except (RuntimeError, OSError) as error:
            self._undo()
            words = str(error).strip().splitlines() or [""]
            self.context.say(f"not compiled: {type(error).__name__}: {words[0]}")

    def on_fit_end(self, trainer: Trainer, module: LightningModule) -> None:
        self._undo()

    def _undo(self) -> None:
        self.lm.backbone._compiled_call_impl = None
