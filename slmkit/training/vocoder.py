"""Training a unit vocoder: spectral losses, durations, and HiFi-GAN's adversaries where asked.

Letters: b (batch), t (frame), u (unit), n (sample).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from slmkit.api import DataError, StageContext
from slmkit.codecs.discriminators import (
    Discriminators,
    adversarial_loss,
    discriminator_loss,
    feature_loss,
)
from slmkit.codecs.hifigan import UnitHifiGan
from slmkit.codecs.losses import SpectralLoss, duration_loss
from slmkit.codecs.weight_norm import add_weight_norm, remove_weight_norm
from slmkit.training.precision import fast_precision
from slmkit.training.schedules import warm_cosine
from slmkit.training.trainer import make_trainer
from slmkit.training.voices import Voices, voices_of


@dataclass(frozen=True)
class VocoderTraining:
    """How a unit vocoder is trained.

    Attributes:
        steps, lr, warmup, batch: of AdamW; `batch` crops a step.
        timed: utterances of which a step learns the durations, which cost next to nothing.
        frames: of a crop.
        decay: by which the learning rate is multiplied after each epoch, instead of falling as a
            cosine over all steps; 0: the cosine.
        mel, stft, duration, adversarial, feature: weights of the losses; `adversarial` 0 trains
            without discriminators.
        weight_norm: train the convolutions under weight norm.
    """

    steps: int
    lr: float
    batch: int
    frames: int
    timed: int = 32
    warmup: int = 20
    decay: float = 0.0
    mel: float = 1.0
    stft: float = 1.0
    duration: float = 0.1
    adversarial: float = 0.0
    feature: float = 2.0
    weight_norm: bool = False


@dataclass(frozen=True, eq=False)
class Spoken:
    """One utterance to learn from.

    Attributes:
        units, durations: merged units, and frames of each, [u].
        wav: float32 [n].
        speaker, embedding: whose voice it is, by name and as an encoder heard it, float32 [d].
    """

    units: np.ndarray
    durations: np.ndarray
    wav: np.ndarray
    speaker: str | None = None
    embedding: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Crops:
    """A batch.

    Attributes:
        units, wav: a crop of each utterance, a unit a frame: [b, t], [b, n].
        merged, durations, real: other utterances' merged units, their frames, what is real;
            the first and last unit are cut off by the utterance's ends and do not count.
        speaker: the voices of the crops, as the generator takes them, or None.
    """

    units: Tensor
    wav: Tensor
    merged: Tensor
    durations: Tensor
    real: Tensor
    speaker: Tensor | None = None


class CropsOfSteps(Dataset[Crops]):
    """Item n is the batch of step n: a pure function of the utterances, the seed and n."""

    def __init__(
        self,
        spoken: Sequence[Spoken],
        hop: int,
        training: VocoderTraining,
        seed: int,
        voices: Voices | None = None,
    ) -> None:
        self.training, self.hop, self.seed = training, hop, seed
        long = [i for i, one in enumerate(spoken) if int(one.durations.sum()) >= training.frames]
        self.spoken = [spoken[index] for index in long]
        # a voice may be shown by an utterance that is too short to be cropped
        self.numbers, self.voices = long, voices
        if not self.spoken:
            raise DataError(
                f"no utterance is as long as a crop of {training.frames} frames; ask for fewer"
            )

    def __len__(self) -> int:
        return self.training.steps

    def __getitem__(self, step: int) -> Crops:
        rng = np.random.default_rng((self.seed, step))
        frames, hop = self.training.frames, self.hop
        units, waves = [], []
        cropped = rng.integers(len(self.spoken), size=self.training.batch)
        for index in cropped:
            one = self.spoken[index]
            expanded = np.repeat(one.units, one.durations)
            start = int(rng.integers(len(expanded) - frames + 1))
            wav = one.wav[start * hop : (start + frames) * hop]
            units.append(torch.from_numpy(expanded[start : start + frames]))
            waves.append(torch.from_numpy(np.pad(wav, (0, frames * hop - len(wav)))))
        chosen = [self.spoken[i] for i in rng.integers(len(self.spoken), size=self.training.timed)]
        merged = [torch.from_numpy(one.units) for one in chosen]
        durations = [torch.from_numpy(one.durations) for one in chosen]
        real = [_inner(len(one.units)) for one in chosen]
        speakers = [self.numbers[index] for index in cropped]
        return Crops(
            torch.stack(units),
            torch.stack(waves),
            pad_sequence(merged, batch_first=True),
            pad_sequence(durations, batch_first=True),
            pad_sequence(real, batch_first=True),
            None if self.voices is None else self.voices.draw(speakers, rng),
        )


def _inner(units: int) -> Tensor:
    """Which units of an utterance keep their whole duration."""
    real = torch.ones(units, dtype=torch.bool)
    if units > 2:
        real[0] = real[-1] = False
    return real


class VocoderLearner(LightningModule):
    """A generator with its losses; manual optimization, since adversaries take turns."""

    def __init__(
        self, generator: UnitHifiGan, sample_rate: int, training: VocoderTraining, epoch: int
    ) -> None:
        """`epoch` is how many steps show as many crops as there are utterances."""
        super().__init__()
        self.automatic_optimization = False
        self.epoch = epoch
        self.generator, self.training_options = generator, training
        self.spectral = SpectralLoss(sample_rate)
        self.adversaries = Discriminators() if training.adversarial else None

    def training_step(self, batch: Crops, index: int) -> None:
        training = self.training_options
        optimizers = self.optimizers()
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        made = self.generator(batch.units, batch.speaker)
        if self.adversaries is not None:
            judged = discriminator_loss(
                self.adversaries(batch.wav), self.adversaries(made.detach())
            )
            self._descend(optimizers[1], judged)
            self.log("adversaries", judged)
        # spectra of what was made in bfloat16 are taken and compared in float32
        with torch.autocast(made.device.type, enabled=False):
            mel, stft = self.spectral(made.float(), batch.wav)
        present = (batch.durations > 0).float()[:, None]
        predicted = self.generator.dur_predictor(self.generator.dict(batch.merged), present)
        duration = duration_loss(predicted, batch.durations, batch.real)
        loss = training.mel * mel + training.stft * stft + training.duration * duration
        if self.adversaries is not None:
            true, ours = self.adversaries(batch.wav), self.adversaries(made)
            loss = loss + training.adversarial * adversarial_loss(ours)
            loss = loss + training.feature * feature_loss(true, ours)
        self._descend(optimizers[0], loss)
        self.log_dict({"loss": loss, "mel": mel, "stft": stft, "duration": duration})

    def _descend(self, optimizer: Any, loss: Tensor) -> None:
        training, step = self.training_options, self.trainer.fit_loop.total_batch_idx
        if training.decay:
            factor = training.decay ** (step // self.epoch)
        else:
            factor = warm_cosine(step, training.warmup, training.steps)
        for group in optimizer.param_groups:
            group["lr"] = training.lr * factor
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    def configure_optimizers(self) -> Any:
        learners: list[nn.Module] = [self.generator]
        if self.adversaries is not None:
            learners.append(self.adversaries)
        lr = self.training_options.lr
        return [torch.optim.AdamW(m.parameters(), lr=lr, betas=(0.8, 0.99)) for m in learners]

    def transfer_batch_to_device(self, batch: Crops, device: Any, index: int) -> Crops:
        there = {n: None if t is None else t.to(device) for n, t in vars(batch).items()}
        return Crops(**there)


def fit_unit_vocoder(
    generator: UnitHifiGan,
    sample_rate: int,
    spoken: Sequence[Spoken],
    training: VocoderTraining,
    context: StageContext,
) -> None:
    """Train in place; a broken run goes on from its last checkpoint. Raises DataError.

    A generator that speaks in voices learns those of `slmkit.training.voices`.
    """
    if training.weight_norm:
        add_weight_norm(generator)
    voices = voices_of(spoken, generator.sizes)
    crops = CropsOfSteps(spoken, generator.sizes.hop_length, training, context.seed, voices)
    epoch = max(1, len(crops.spoken) // training.batch)
    learner = VocoderLearner(generator, sample_rate, training, epoch)
    # Lightning counts the steps of every optimizer
    turns = 2 if training.adversarial else 1
    trainer = make_trainer(context, max_steps=training.steps * turns, precision=fast_precision())
    trainer.fit(learner, DataLoader(crops, batch_size=None, shuffle=False))
    remove_weight_norm(generator)
