"""The bound of mutual information: where it is known, where it is none, and of a probe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from toy_probe import SPEC, Context, said, small

from slmkit.api import DataError
from slmkit.training.club import likelihoods_of, vclub
from slmkit.training.ctc import ctc_losses
from slmkit.training.probe import ProbeBatch, ProbeTraining, Read, fit_probe


def gaussian(rho: float, n: int, width: int, slope: float | None = None) -> np.ndarray:
    """log q(y_j|x_i) of pairs of correlation rho in each of some dimensions; q is the true
    conditional, or one of another slope."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, width))
    y = rho * x + np.sqrt(1 - rho**2) * rng.normal(size=(n, width))
    apart = y[None] - (rho if slope is None else slope) * x[:, None]
    return -(apart**2 / (1 - rho**2) + np.log(2 * np.pi * (1 - rho**2))).sum(axis=2) / 2


@pytest.mark.parametrize("rho", [0.3, 0.6, 0.8])
def test_of_a_joint_gaussian_it_is_what_the_formula_gives(rho: float) -> None:
    """Cheng et al.'s bound with the true conditional is rho^2 / (1 - rho^2) a dimension, above the
    mutual information -log(1 - rho^2) / 2; an item among its own negatives takes 1/N of it off."""
    n, width = 1500, 6
    bound = width * rho**2 / (1 - rho**2)
    information = -width * np.log(1 - rho**2) / 2
    found = vclub(gaussian(rho, n, width))
    assert found == pytest.approx(bound * (1 - 1 / n), rel=0.1)
    assert found > information


def test_of_what_is_independent_it_is_nothing() -> None:
    assert abs(vclub(gaussian(0.0, 800, 4))) < 0.05


def test_a_q_that_has_learnt_little_falls_below() -> None:
    full, little = gaussian(0.8, 800, 4), gaussian(0.8, 800, 4, slope=0.1)
    information = -4 * np.log(1 - 0.8**2) / 2
    assert vclub(little) < information < vclub(full)
    assert abs(vclub(gaussian(0.8, 800, 4, slope=0.0))) < 1e-9, "one that does not look at x"


def test_a_shift_of_an_items_likelihoods_changes_nothing() -> None:
    likelihoods = gaussian(0.5, 50, 3)
    assert vclub(likelihoods + np.arange(50.0)[:, None]) == pytest.approx(vclub(likelihoods))


def test_texts_that_do_not_fit_are_left_out_of_the_average() -> None:
    likelihoods = np.array([[-1.0, -3.0, -np.inf], [-4.0, -1.0, -7.0], [-2.0, -2.0, -2.0]])
    assert vclub(likelihoods) == pytest.approx(np.mean([-1 + 2, -1 + 4, 0]))
    for broken in (likelihoods[[2, 1, 0]], np.zeros((0, 0))):
        with pytest.raises(DataError, match="without its own text"):
            vclub(broken)
    with pytest.raises(ValueError, match="no square"):
        vclub(likelihoods[:2])


def test_likelihoods_are_those_of_each_pair_alone() -> None:
    reader, some = small(codebooks=2), said(5, 7)
    some[0] = Read("short", some[0].codes[:, :4], some[0].text)
    found = likelihoods_of(reader, some)
    raw = likelihoods_of(reader, some, by_character=False)
    for i, codes in enumerate(some):
        for j, text in enumerate(some):
            batch = ProbeBatch.of([Read("x", codes.codes, text.text)], reader)
            with torch.inference_mode():
                scores, lengths = reader(batch.codes, batch.lengths)
                loss = float(ctc_losses(scores, lengths, batch.ids, batch.counts, endless=True))
            assert raw[i, j] == pytest.approx(-loss, rel=1e-4)
            assert found[i, j] == pytest.approx(-loss / len(text.text), rel=1e-4)
    assert np.isneginf(found[0]).all()


def test_a_probe_finds_text_in_codes_that_hold_it_and_none_in_noise(tmp_path: Path) -> None:
    """The control reads the second codebook, which is drawn at random."""
    found = []
    for name, book in (("text", 0), ("noise", 1)):
        train, held_out = (
            [Read(r.id, r.codes[book : book + 1], r.text) for r in said(count, seed)]
            for count, seed in ((50, 8), (20, 9))
        )
        reader = small()
        if book:
            reader.embeddings[0] = torch.nn.Embedding(SPEC.codebook_sizes[1], 32)
        training = ProbeTraining(steps=40, lr=2e-2, batch_frames=1200)
        fit_probe(reader, train, held_out[:5], training, Context(tmp_path / name))
        found.append(vclub(likelihoods_of(reader, held_out)))
    assert found[0] > 1.0
    assert abs(found[1]) < 0.1
