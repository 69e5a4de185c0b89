"""vCLUB where the answer is known: `python -m benchmarks.information [--figure FILE.svg]`.

Pairs of five strengths, each through the estimator that SLMTokBench uses (`slmkit.training.club`).
Jointly Gaussian pairs have a q that is fitted by maximum likelihood; of discrete pairs, one code
and one letter, q is the benchmark's own probe, trained as it trains. The closed form is that of the
bound, not of the mutual information, which lies below.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.rows import Row, publish
from slmkit.benchmark.quiet import QuietContext
from slmkit.training.club import likelihoods_of, vclub
from slmkit.training.probe import Probe, ProbeTraining, Read, fit_probe

CORRELATIONS = (0.3, 0.5, 0.6, 0.7, 0.8)
"""Of each dimension of x with the same one of y."""

CERTAINTIES = (0.4, 0.5, 0.6, 0.7, 0.85)
"""That the letter is the one that belongs to the code; the others are equally likely."""

LETTERS = "abcd"
WIDTH, ITEMS = 24, 1500
BAR = 5.0


class Found(NamedTuple):
    """An estimate, the closed form of the bound, and the mutual information below it, nats."""

    strength: float
    estimate: float
    bound: float
    information: float

    @property
    def off(self) -> float:
        """How far the estimate is from the bound, % of it."""
        return 100 * abs(self.estimate / self.bound - 1)


def gaussian(rho: float, seed: int = 0) -> Found:
    """Pairs of correlation rho, a dimension: the bound is rho^2 / (1 - rho^2)."""
    rng = np.random.default_rng(seed)

    def drawn() -> tuple[np.ndarray, np.ndarray]:
        x = rng.normal(size=(ITEMS, WIDTH))
        return x, rho * x + np.sqrt(1 - rho**2) * rng.normal(size=x.shape)

    x, y = drawn()
    slope = float((x * y).sum() / (x * x).sum())
    variance = float(((y - slope * x) ** 2).mean())
    x, y = drawn()
    apart = (y**2).sum(1)[None] - 2 * slope * x @ y.T + slope**2 * (x**2).sum(1)[:, None]
    likelihoods = -(apart / variance + WIDTH * np.log(2 * np.pi * variance)) / 2
    bound, information = rho**2 / (1 - rho**2), -np.log(1 - rho**2) / 2
    return Found(rho, vclub(likelihoods) / WIDTH, bound, float(information))


def discrete(certainty: float, folder: Path, steps: int = 300) -> Found:
    """A code and a letter; the sample has every pair as often as its probability says."""
    count, rest = len(LETTERS), (1 - certainty) / (len(LETTERS) - 1)
    given = np.full((count, count), rest) + (certainty - rest) * np.eye(count)
    often = np.round(60 * given).astype(int)
    reads = [
        Read(f"{code}-{letter}-{n}", np.array([[code]]), LETTERS[letter])
        for code in range(count)
        for letter in range(count)
        for n in range(often[code, letter])
    ]
    torch.manual_seed(0)
    probe = Probe([count], LETTERS, 16)
    training = ProbeTraining(steps, 2e-2, batch_frames=len(reads))
    fit_probe(probe, reads, [], training, QuietContext(folder, 0))
    joint = often / often.sum()
    codes, letters = joint.sum(1, keepdims=True), joint.sum(0, keepdims=True)
    conditional = np.log(joint / codes)
    bound = float(((joint - codes * letters) * conditional).sum())
    information = float((joint * (conditional - np.log(letters))).sum())
    return Found(certainty, vclub(likelihoods_of(probe, reads)), bound, information)


def drawing(found: dict[str, Sequence[Found]], file: Path) -> None:
    """Estimates over the closed form, and the mutual information below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    for place, (title, some) in enumerate(found.items(), start=1):
        axes = figure.add_subplot(1, len(found), place)
        strengths = [each.strength for each in some]
        axes.plot(strengths, [each.bound for each in some], "-", label="bound, closed form")
        axes.plot(strengths, [each.information for each in some], ":", label="mutual information")
        axes.plot(strengths, [each.estimate for each in some], "o", label="estimate")
        axes.set(title=title, xlabel="strength of the pairs", ylabel="nats")
        axes.legend()
    figure.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", type=Path, help="where a plot is drawn")
    figure = parser.parse_args().figure
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "Gaussian pairs": [gaussian(rho) for rho in CORRELATIONS],
            "discrete pairs": [discrete(p, Path(folder) / str(p)) for p in CERTAINTIES],
        }
    rows = [
        Row(f"{kind}, {each.strength:g}: off the closed form", each.off, "%", bar=BAR)
        for kind, some in found.items()
        for each in some
    ]
    if figure is not None:
        drawing(found, figure)
    publish("information", rows, "python -m benchmarks.information")


if __name__ == "__main__":
    main()
