"""A small training that can kill itself."""

import os
import signal
import time

import torch
from lightning.pytorch import LightningModule
from torch import nn

from slmkit.training import trainer as trainer_module
from slmkit.training.trainer import make_trainer


class Numbers(torch.utils.data.Dataset):
    """Item n is drawn from the seed and n."""

    def __init__(self, options, context):
        self.options, self.seed = options, context.seed
        self.died = context.folder / "died"

    def __len__(self):
        return self.options.steps

    def __getitem__(self, n):
        if n == self.options.die_at and not self.died.exists():
            self.died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.options.pause)
        generator = torch.Generator().manual_seed(1000 * self.seed + n)
        return torch.randn(4, 6, generator=generator)


class Learner(LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 6))

    def training_step(self, batch, index):
        loss = (self.net(batch) - batch).square().mean()
        self.log("loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


def train(options, context):
    trainer_module.CHECKPOINT_EVERY_S = 0.0
    learner = Learner()
    make_trainer(context, max_steps=options.steps).fit(learner, Numbers(options, context))
    torch.save(learner.state_dict(), context.folder / "weights.pt")
