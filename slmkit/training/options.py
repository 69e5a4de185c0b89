"""How a language model is trained, as the options of every stage that trains one. No torch.

A stage's own options derive from `LmTraining`, so that they stand side by side in a recipe, and are
handed to `slmkit.training.lm.fit_lm` as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import option
from slmkit.training.schedules import SCHEDULES

OPTIMIZERS = ("adamw", "muon")


@dataclass(frozen=True)
class LmTraining:
    """What every training of a language model can choose.

    Raises ValueError for a name or a share that is none.
    """

    steps: int = option(1000, "optimizer steps; 0: only put the model together")
    lr: float = option(1e-3, "peak learning rate")
    optimizer: str = option("adamw", "adamw, or muon for the matrices of backbone and refiner")
    schedule: str = option(
        "cosine", "of the learning rate: cosine, or wsd (warm-up, level, decay); both to a tenth"
    )
    warmup: int = option(50, "steps of linear warm-up")
    decay: float = option(0.1, "share of the steps over which wsd goes down")
    batch_tokens: int = option(4096, "tokens in a batch, padding included")
    batch_items: int = option(0, "examples in a batch at most; 0: as many as its tokens allow")
    packing: bool = option(
        False, "examples end to end in one row that do not see each other, instead of padded rows"
    )
    weight_decay: float = option(0.01, "of matrices")
    clip: float = option(1.0, "greatest norm of the gradient")
    noise: float = option(0.0, "share of the units it reads exchanged for random ones")
    text_weight: float = option(1.0, "how many times a text target counts as much as a unit")
    ema: float = option(
        0.0, "decay of a moving average of the weights that is checked on and kept; 0: none"
    )
    checkpointing: bool = option(
        False, "compute the layers again in the backward pass instead of keeping what they computed"
    )
    compile: bool = option(False, "torch.compile the backbone")

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer '{self.optimizer}' is none of {', '.join(OPTIMIZERS)}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule '{self.schedule}' is none of {', '.join(SCHEDULES)}")
        if self.batch_items < 0 or (self.batch_items and self.packing):
            raise ValueError("batch_items is at least 0, and 0 where examples are packed")
        if not 0 < self.decay <= 1:
            raise ValueError(f"decay {self.decay} is no share of the steps: above 0, at most 1")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema {self.ema} is no decay of an average: at least 0 and below 1")
