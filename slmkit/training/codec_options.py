"""How a codec is trained, as the options of a stage that trains one. No torch.

What belongs together is one mapping: a name that is left out keeps its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from slmkit.api import nearest, option

WEIGHTS: Mapping[str, float] = {
    "wave": 10.0,
    "mel": 1.0,
    "adversarial": 1.0,
    "feature": 2.0,
    "commit": 1.0,
    "distill": 1.0,
}
"""Of the losses. The first four compare waves, and a balancer shares the gradient among them."""

AUGMENT: Mapping[str, float] = {"noise": 0.0, "reverberation": 0.0, "speed": 0.0}
"""Shares of the crops that are changed so."""

MEL_LOSSES = ("small", "speechtokenizer", "encodec")
GAMES = ("lsgan", "hinge")
STARTS = ("lapped", "scaled", "torch")
LESSONS = ("features", "units")


@dataclass(frozen=True)
class CodecTraining:
    """What a training of a codec can choose.

    Raises ValueError for a name, a share or a number that is none.
    """

    steps: int = option(2000, "steps, of the codec and of its adversaries alike")
    lr: float = option(2e-3, "peak learning rate of Adam, of both")
    betas: list[float] = option(
        help="of Adam's moving averages", default_factory=lambda: [0.9, 0.99]
    )
    warmup: int = option(50, "steps of linear warm-up; then a cosine")
    lr_end: float = option(0.1, "what is left of the learning rate at the end, as a share")
    batch: int = option(8, "crops of a step, of different speakers as far as there are")
    crop: float = option(1.0, "seconds of a crop")
    ema: float = option(0.99, "decay of the moving average of the codec that is kept; 0: none")
    start: str = option(
        "scaled",
        "first weights: lapped (a transform that gives sound back at once), scaled (each layer "
        "gives unit variance on speech) or torch",
    )
    weight_norm: bool = option(True, "train the convolutions under weight norm")
    weights: dict[str, float] = option(
        help=f"of the losses: {', '.join(f'{name} {value:g}' for name, value in WEIGHTS.items())}",
        default_factory=dict,
    )
    mel_loss: str = option("small", f"windows of the mel loss: {', '.join(MEL_LOSSES)}")
    balance: bool = option(
        False, "weights are shares of the gradient at the decoder's output, as EnCodec's are"
    )
    book_dropout: float = option(
        0.0, "share of the steps that use a random number of the codebooks alone"
    )
    revive: float = option(
        0.1, "entries that are used less than this share of the even use are drawn anew"
    )
    own: int = option(
        0,
        "so many dimensions of a latent are the first codebook's alone, the rest the others' "
        "(Mimi's split quantizer); 0: all learn all of it",
    )
    windows: list[int] = option(
        help="samples of each STFT discriminator's window", default_factory=lambda: [512]
    )
    periods: list[int] = option(help="of HiFi-GAN's discriminators", default_factory=list)
    scales: int = option(0, "of HiFi-GAN's discriminators")
    adversary_width: float = option(0.25, "of all discriminators, as a share of the published one")
    adversary_loss: str = option("lsgan", " or ".join(GAMES))
    adversary_start: float = option(0.5, "share of the steps that go before the adversaries begin")
    augment: dict[str, float] = option(
        help="share of the crops whose sound is changed before the codec hears it: noise and "
        "reverberation, which it learns to leave out, and speed",
        default_factory=dict,
    )
    lesson: str = option(
        "features", "what the first codebook learns of a teacher: its features, or its units"
    )

    def __post_init__(self) -> None:
        _known("weights", self.weights, WEIGHTS)
        _known("augment", self.augment, AUGMENT)
        _one_of("mel_loss", self.mel_loss, MEL_LOSSES)
        _one_of("adversary_loss", self.adversary_loss, GAMES)
        _one_of("start", self.start, STARTS)
        _one_of("lesson", self.lesson, LESSONS)
        if min(self.steps, self.batch) < 1 or self.crop <= 0:
            raise ValueError("steps and batch are at least 1, a crop is longer than nothing")
        if self.own < 0:
            raise ValueError(f"own {self.own} is no number of dimensions: at least 0")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas {self.betas} are not two decays: at least 0 and below 1")
        if not 0 <= self.ema < 1:
            raise ValueError(f"ema {self.ema} is no decay of an average: at least 0 and below 1")
        for name in ("lr_end", "book_dropout", "adversary_start"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)} is no share: 0 to 1")

    @property
    def weighed(self) -> dict[str, float]:
        """The weight of every loss."""
        return {**WEIGHTS, **self.weights}

    @property
    def changed(self) -> dict[str, float]:
        """The share of the crops that each augmentation changes."""
        return {**AUGMENT, **self.augment}

    @property
    def plays(self) -> bool:
        """Whether there are adversaries."""
        weights = self.weighed
        any_there = bool(self.windows or self.periods or self.scales)
        return any_there and (weights["adversarial"] > 0 or weights["feature"] > 0)

    @property
    def first_game(self) -> int:
        """The step at which the adversaries begin; `steps` where there are none."""
        return round(self.steps * self.adversary_start) if self.plays else self.steps


def _known(option_name: str, given: Mapping[str, float], known: Mapping[str, float]) -> None:
    for name, value in given.items():
        if name not in known:
            near = nearest(name, known) or list(known)
            raise ValueError(f"{option_name}: no '{name}'; there are: {', '.join(near)}")
        if value < 0:
            raise ValueError(f"{option_name}: {name} {value} is below 0")


def _one_of(option_name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{option_name} '{value}' is none of {', '.join(known)}")
