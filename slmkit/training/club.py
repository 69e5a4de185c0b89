"""Mutual information between text and codes, bounded from above by a probe (vCLUB).

The contrastive log-ratio upper bound with a variational q (Cheng et al. 2020): how much likelier a
text y_i is under its own codes x_i than the texts of the sample are on average,

    I = 1/N sum_i [log q(y_i|x_i) - 1/N sum_j log q(y_j|x_i)],   j over all, i among them.

With the true conditional for q it is an upper bound of the mutual information; with a q that has
learnt little it falls below. SLMTokBench (Zhang et al. 2024) takes the probe's CTC for q. The
control is a probe that learnt from shuffled texts: its q knows nothing of the codes, and the bound
is near 0. Letters: i (codes), j (text).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from slmkit.api import DataError
from slmkit.training.ctc import ctc_losses
from slmkit.training.probe import Probe, ProbeBatch, Read

Likelihoods = NDArray[np.float64]
"""[i, j]: log q(y_j|x_i), nats; -inf where text j has no path through the frames of i."""


def vclub(likelihoods: Likelihoods) -> float:
    """The bound, nats for each item (or for each character, if the likelihoods are): the mean of
    the items' `contributions`. Raises the same."""
    return float(contributions(likelihoods).mean())


def contributions(likelihoods: Likelihoods) -> NDArray[np.float64]:
    """What each item adds to the bound [i]: how much likelier its own text is than the average one.

    A text that does not fit in the frames of an utterance is left out of that utterance's average:
    it says that the utterance is short, and nothing of what is said. Raises DataError where an
    item's own text does not fit, or there is no item.
    """
    if likelihoods.ndim != 2 or likelihoods.shape[0] != likelihoods.shape[1]:
        raise ValueError(f"likelihoods of shape {list(likelihoods.shape)} are no square")
    own = np.diagonal(likelihoods)
    if not len(own) or not np.isfinite(own).all():
        raise DataError("no mutual information can be measured: an item without its own text")
    possible = np.isfinite(likelihoods)
    average = np.where(possible, likelihoods, 0.0).sum(axis=1) / possible.sum(axis=1)
    found: NDArray[np.float64] = own - average
    return found


@torch.inference_mode()  # type: ignore[untyped-decorator]
def likelihoods_of(probe: Probe, reads: Sequence[Read], by_character: bool = True) -> Likelihoods:
    """How likely a probe finds each text under each utterance's codes.

    `by_character` divides by the length of the text: else long texts, all unlikely, decide alone.
    Leaves the probe in evaluation mode.
    """
    probe.eval()
    whole = ProbeBatch.of(reads, probe)
    rows = []
    for read in reads:
        alone = ProbeBatch.of([read], probe)
        scores, lengths = probe(alone.codes, alone.lengths)
        many = scores.expand(len(reads), -1, -1)
        losses = ctc_losses(many, lengths.expand(len(reads)), whole.ids, whole.counts, endless=True)
        rows.append(-losses / whole.counts.clamp(min=1) if by_character else -losses)
    found: Likelihoods = torch.stack(rows).double().numpy()
    return found
