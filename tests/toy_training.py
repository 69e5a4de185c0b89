"""Small trainings that can kill themselves."""

import os
import signal
import time

import torch
from lightning.pytorch import LightningModule
from torch import nn
from torch.utils.data import DataLoader, Dataset

from slmkit.training import trainer as trainer_module
from slmkit.training.trainer import make_trainer


class Numbers(Dataset):
    """Item n is drawn from the seed and n."""

    def __init__(self, options, context):
        self.options, self.seed = options, context.seed
        self.died = context.folder / "died"

    def __len__(self):
        return self.options.steps

    def __getitem__(self, n):
        if n == self.options.die_at and not self.died.exists():
            self.died.touch()
            os.kill(os.getppid() if self.options.workers else os.getpid(), signal.SIGKILL)
        time.sleep(self.options.pause)
        generator = torch.Generator().manual_seed(1000 * self.seed + n)
        return torch.randn(4, 6, generator=generator)


class Plain(LightningModule):
    """Dropout, a schedule and held-out batches: all that a break could upset."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 6))

    def training_step(self, batch, index):
        loss = (self.net(batch) - batch).square().mean()
        self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch, index):
        self.log("dev_loss", self.net(batch).square().mean() * torch.rand(()))

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


class Rivals(Plain):
    """Two optimizers by hand, as a vocoder and its discriminators have them."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.other = nn.Linear(6, 1)

    def training_step(self, batch, index):
        for optimizer, loss in zip(self.optimizers(), self.losses(batch), strict=True):
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()

    def losses(self, batch):
        yield self.other(self.net(batch).detach()).square().mean()
        yield (self.net(batch) - batch).square().mean() - self.other(self.net(batch)).mean()

    def configure_optimizers(self):
        own = torch.optim.AdamW(self.net.parameters(), lr=0.01)
        return [torch.optim.SGD(self.other.parameters(), lr=0.1, momentum=0.9), own]


def train(options, context):
    """Train, saving a checkpoint at every chance, and leave the weights as they are at the end."""
    trainer_module.CHECKPOINT_EVERY_S = options.every
    learner = {"plain": Plain, "rivals": Rivals}[options.module]()
    steps = options.steps * (2 if options.module == "rivals" else 1)
    data = Numbers(options, context)
    if options.workers:
        data = DataLoader(data, batch_size=None, num_workers=options.workers)
    checks = DataLoader([torch.ones(2, 6)] * 3, batch_size=None)
    for name in ("first", "second") if options.twice else ("",):
        make_trainer(context, name=name, max_steps=steps).fit(learner, data, checks)
    if options.die_after and not (context.folder / "died").exists():
        (context.folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    torch.save(learner.state_dict(), context.folder / "weights.pt")
