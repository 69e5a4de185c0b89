"""One seed for all random numbers of a process."""

from __future__ import annotations

import random


def seed_all(seed: int) -> None:
    """Seed Python, NumPy and torch, so that a stage draws the same alone and after others."""
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
