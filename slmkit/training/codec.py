"""Training a codec of a SEANet, a residual quantizer, and adversaries (Defossez et al. 2022), its
first codebook taught what is said (SpeechTokenizer, Zhang et al. 2023).

Letters: b (batch), c (channel), d (width), t (frame), n (sample).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from slmkit.api import DataError, MisfitError, StageContext, Utterance
from slmkit.codecs.adversaries import GAMES, Adversaries
from slmkit.codecs.codebooks import Learning
from slmkit.codecs.codec import Passed, SeanetCodec
from slmkit.codecs.discriminators import feature_loss
from slmkit.codecs.lapped import start_lapped
from slmkit.codecs.mel_loss import MELS, MultiScaleMel
from slmkit.codecs.starting import scale_layers
from slmkit.codecs.weight_norm import add_weight_norm, remove_weight_norm
from slmkit.training.averaging import Averaging
from slmkit.training.balancer import Balancer
from slmkit.training.codec_log import Listening, log_sounds
from slmkit.training.codec_options import CodecTraining
from slmkit.training.crops import Crops, CropsOfSteps, Cutting
from slmkit.training.distillation import Lesson
from slmkit.training.precision import fast_precision
from slmkit.training.schedules import warm_cosine
from slmkit.training.trainer import CHECKS, make_trainer

FRAMES_AN_ENTRY = 16
"""From so many each codebook starts where the first weights tell frames apart."""
BALANCED = ("wave", "mel", "adversarial", "feature")


class CodecLearner(LightningModule):
    """A codec with its losses; manual optimization, since its adversaries learn beside it.

    Both sides of a step see the same adversaries: those before it. True and made waves go through
    them once, and that pass teaches both, where taking turns costs two.
    """

    def __init__(self, codec: SeanetCodec, training: CodecTraining, lesson: Lesson | None) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.codec, self.training_options, self.lesson = codec, training, lesson
        self.mel = MultiScaleMel(codec.sample_rate, MELS[training.mel_loss])
        self.adversaries: Adversaries | None = None
        if training.plays:
            self.adversaries = Adversaries(
                training.periods, training.scales, training.windows, training.adversary_width
            )
        self.game = GAMES[training.adversary_loss]
        weights = training.weighed
        shares = {name: weights[name] for name in BALANCED if weights[name]}
        self.balancer = Balancer(shares) if training.balance else None
        self.listening: list[Listening] = []

    def training_step(self, batch: Crops, index: int) -> None:
        step, training = self._step, self.training_options
        passed = self._pass(batch.heard, self._books())
        outside = self._outside(passed, batch)
        # what compares waves is differentiated as far as the copy, and from there on once
        copy = passed.copy[:, 0].detach().float().requires_grad_()
        losses = {"wave": (copy - batch.wav).abs().mean(), "mel": self._mel(copy, batch.wav)}
        judged = None
        if self.adversaries is not None and step >= training.first_game:
            true, made = self.adversaries.compare(batch.wav, copy)
            judged = self.game.discriminator(true, made)
            losses["adversarial"] = self.game.generator(made)
            losses["feature"] = feature_loss(true, made)
        gradient = self._gradient(losses, copy, keep=judged is not None)
        everything = {**losses, **outside} | ({} if judged is None else {"adversaries": judged})
        self._check(step, batch, gradient, everything)
        optimizers = self.optimizers()
        optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
        weights = training.weighed
        beside = [weights[name] * loss for name, loss in outside.items()]
        # the sum's gradient at the copy is the one found above
        whole = torch.stack([(passed.copy[:, 0] * gradient).sum(), *beside]).sum()
        self._descend(optimizers[0], whole, step, batch)
        if judged is not None:
            self._descend(optimizers[1], judged, step, batch)
        self.log("mel", everything.pop("mel"), prog_bar=True)
        self.log_dict(everything)

    def validation_step(self, batch: Crops, index: int) -> None:
        passed = self._pass(batch.wav, None)
        copy = passed.copy[:, 0].float()
        losses = {
            "dev_mel": self._mel(copy, batch.wav),
            "dev_wave": (copy - batch.wav).abs().mean(),
        }
        if self.lesson is not None:
            taught = self._outside(passed, batch)["distill"]
            losses["dev_distill"] = taught
        codes = passed.quantized.codes
        first, last = (len(codes[:, book].unique()) for book in (0, -1))
        losses |= {"dev_entries_first": torch.tensor(first), "dev_entries_last": torch.tensor(last)}
        self.log_dict({k: v.float() for k, v in losses.items()}, batch_size=len(batch.wav))

    def on_validation_epoch_end(self) -> None:
        log_sounds(self.logger, self.codec, self.listening, self._step)

    @property
    def _step(self) -> int:
        return int(self.trainer.fit_loop.total_batch_idx)

    def _books(self) -> int | None:
        """How many codebooks a step uses; drawn from the step's own seed."""
        if float(torch.rand(())) < self.training_options.book_dropout:
            return self.codec.quantizer.draw_books()
        return None

    def _pass(self, wav: Tensor, books: int | None) -> Passed:
        """Waves [b, n] through the codec; codes are found and learnt in float32."""
        latents = self.codec.encoder(wav[:, None].expand(-1, self.codec.sizes.channels, -1))
        with self._exactly(latents):
            quantized = self.codec.quantizer(latents.float(), books)
        copy = self.codec.decoder(quantized.latents)
        return Passed(copy[..., : wav.shape[-1]].mean(dim=1, keepdim=True), quantized)

    def _outside(self, passed: Passed, batch: Crops) -> dict[str, Tensor]:
        """The losses that do not come by the copy."""
        losses = {"commit": passed.quantized.commitment}
        if self.lesson is not None:
            assert batch.taught is not None, "crops for a teacher are cut where there is a lesson"
            with self._exactly(batch.taught):
                losses["distill"] = self.lesson(passed.quantized.levels[0], batch.taught)
        return losses

    def _mel(self, copy: Tensor, wav: Tensor) -> Tensor:
        with self._exactly(wav):
            loss: Tensor = self.mel(copy, wav)
        return loss

    def _exactly(self, like: Tensor) -> AbstractContextManager[Any]:
        exact: AbstractContextManager[Any] = torch.autocast(like.device.type, enabled=False)
        return exact

    def _gradient(self, losses: dict[str, Tensor], copy: Tensor, keep: bool) -> Tensor:
        """The gradient [b, n] of the weighed or balanced losses at the copy; `keep` their graph."""
        weights = self.training_options.weighed
        wanted = {name: loss for name, loss in losses.items() if weights[name]}
        if self.balancer is None:
            whole = torch.stack([weights[name] * loss for name, loss in wanted.items()]).sum()
            return torch.autograd.grad(whole, copy, retain_graph=keep)[0]
        gradients = {
            name: torch.autograd.grad(loss, copy, retain_graph=keep)[0]
            for name, loss in wanted.items()
        }
        balanced: Tensor = self.balancer(gradients)
        return balanced

    def _check(self, step: int, batch: Crops, gradient: Tensor, losses: dict[str, Tensor]) -> None:
        """Raise DataError for what is no number, before anything has learnt from it."""
        broken = [name for name, loss in losses.items() if not bool(loss.isfinite())]
        if not bool(gradient.isfinite().all()):
            broken.append("the gradient")
        if broken:
            self._refuse(step, batch, ", ".join(broken))

    def _refuse(self, step: int, batch: Crops, what: str) -> None:
        raise DataError(
            f"training a codec, step {step}: not a finite number: {what}; utterances of the batch: "
            f"{', '.join(batch.ids)}; listen to them, or lower lr (the last checkpoint is whole)"
        )

    def _descend(self, optimizer: Any, loss: Tensor, step: int, batch: Crops) -> None:
        training = self.training_options
        rate = training.lr * warm_cosine(step, training.warmup, training.steps, training.lr_end)
        learnt = [p for group in optimizer.param_groups for p in group["params"]]
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        self.manual_backward(loss, inputs=learnt)
        norms = torch.stack([p.grad.norm() for p in learnt if p.grad is not None])
        if not bool(norms.sum().isfinite()):
            self._refuse(step, batch, "a gradient of the weights")
        optimizer.step()

    def configure_optimizers(self) -> Any:
        learners: list[list[nn.Parameter]] = [list(self.codec.parameters())]
        if self.lesson is not None:
            learners[0] += self.lesson.parameters()
        if self.adversaries is not None:
            learners.append(list(self.adversaries.parameters()))
        lr, (first, second) = self.training_options.lr, self.training_options.betas
        return [torch.optim.Adam(learner, lr=lr, betas=(first, second)) for learner in learners]

    def transfer_batch_to_device(self, batch: Crops, device: Any, index: int) -> Crops:
        taught = None if batch.taught is None else batch.taught.to(device)
        return replace(batch, wav=batch.wav.to(device), heard=batch.heard.to(device), taught=taught)


def fit_codec(
    codec: SeanetCodec,
    train: Sequence[Utterance],
    dev: Sequence[Utterance],
    training: CodecTraining,
    lesson: Lesson | None,
    context: StageContext,
) -> None:
    """Train in place; a broken run goes on from its last checkpoint.

    Raises DataError, and MisfitError for options that do not fit the codec.
    """
    hop = codec.sizes.hop_length
    frames = max(1, round(training.crop * codec.sample_rate / hop))
    cutting = Cutting(
        steps=training.steps,
        batch=training.batch,
        samples=frames * hop,
        sample_rate=codec.sample_rate,
        teacher_rate=None if lesson is None else lesson.sample_rate,
        augment=training.changed,
        seed=context.seed,
    )
    crops = CropsOfSteps(train, cutting)
    entries = codec.quantizer.entries.shape[1]
    even = training.batch * frames / entries
    codec.quantizer.learning = Learning(least_used=training.revive * even)
    if training.own >= codec.sizes.width:
        raise MisfitError(
            f"own {training.own}: latents are {codec.sizes.width} wide, and the other codebooks "
            "need some of it"
        )
    codec.quantizer.own = training.own
    # codebooks begin with k-means over what the encoder makes of the first crops
    codec.quantizer.ready.zero_()
    codec.requires_grad_(True).train()
    begin(codec, crops, training.start)
    if training.weight_norm:
        add_weight_norm(codec)
    learner = CodecLearner(codec, training, lesson)
    learner.listening = [Listening.read(each, codec.sample_rate) for each in dev[:3]]
    averaging = Averaging(training.ema, "codec.")
    # Lightning counts the steps of every optimizer
    turns = training.steps + training.steps - training.first_game
    trainer = make_trainer(
        context,
        max_steps=turns,
        precision=fast_precision(),
        callbacks=[averaging] if training.ema else [],
        log_every_n_steps=max(1, training.steps // 200),
        val_check_interval=max(1, training.steps // CHECKS),
        check_val_every_n_epoch=None,
    )
    trainer.fit(learner, DataLoader(crops, batch_size=None, shuffle=False), held_out(dev, cutting))
    averaging.settle(learner)
    if training.weight_norm:
        remove_weight_norm(codec)
    codec.requires_grad_(False).eval()


def begin(codec: SeanetCodec, crops: CropsOfSteps, start: str) -> None:
    """Draw the first weights as the option `start` says.

    One that tells sounds apart before it has learnt has codebooks of more than one step's crops.
    """
    channels = codec.sizes.channels
    if start == "scaled":
        scale_layers(codec, crops[0].wav[:, None].expand(-1, channels, -1))
    if start == "lapped":
        start_lapped(codec, crops[0].wav[:, None])
        frames = crops.cutting.batch * crops.cutting.samples // codec.sizes.hop_length
        steps = -(-FRAMES_AN_ENTRY * codec.quantizer.entries.shape[1] // frames)
        with torch.no_grad():
            heard = [codec.encoder(crops[step].heard[:, None]) for step in range(steps)]
        codec.quantizer.begin(torch.cat(heard), frames)


def held_out(dev: Sequence[Utterance], cutting: Cutting) -> DataLoader[Crops] | None:
    """Batches to check on, the same at each check: a crop of each utterance."""
    if not dev:
        return None
    groups = [dev[at : at + cutting.batch] for at in range(0, len(dev), cutting.batch)]
    still = dict.fromkeys(cutting.augment, 0.0)
    checks = [
        CropsOfSteps(_apart(group), replace(cutting, batch=len(group), augment=still))[0]
        for group in groups
    ]
    return DataLoader(checks, batch_size=None)  # type: ignore[arg-type]


def _apart(utterances: Sequence[Utterance]) -> list[Utterance]:
    """Utterances without their speakers, so that a batch takes each of them."""
    return [replace(each, speaker=None) for each in utterances]
