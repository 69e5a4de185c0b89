"""What codecs ask of waves, and which rows go through together."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from slmkit.api import AudioError
from slmkit.codecs.waves import PIECE, channelled, groups


@given(lengths=st.lists(st.integers(1, 50), min_size=1, max_size=12), most=st.integers(1, 120))
def test_every_row_goes_through_once_and_no_group_is_too_large(
    lengths: list[int], most: int
) -> None:
    found = groups(lengths, most)
    assert sorted(row for group in found for row in group) == list(range(len(lengths)))
    for group in found:
        padded = max(lengths[row] for row in group) * len(group)
        assert padded <= most or len(group) == 1
    if max(lengths) * len(lengths) <= most:
        assert len(found) == 1


def test_waves_come_cut_channelled_and_silent_beyond_their_ends() -> None:
    wav = torch.arange(1.0, 13).view(2, 6)
    given = wav.clone()
    found, rows = channelled(wav, torch.tensor([2, 5]), 2, "x")
    assert rows == [2, 5]
    assert found.shape == (2, 2, 5)
    assert found[0].tolist() == [[1, 2, 0, 0, 0]] * 2
    assert found[1].tolist() == [[7, 8, 9, 10, 11]] * 2
    assert torch.equal(wav, given), "what was given stays as it is"
    beyond = wav.clone()
    beyond[0, 3] = torch.nan
    assert torch.equal(channelled(beyond, torch.tensor([2, 5]), 2, "x")[0], found)


@pytest.mark.parametrize(
    ("wav", "lengths", "message"),
    [
        (torch.zeros(5), [5], r"\[batch, samples\], not \(5,\)"),
        (torch.zeros(1, 2, 5), [5], "mix its channels down"),
        (torch.zeros(2, 5), [5], "2 waves and 1 lengths"),
        (torch.zeros(2, 5), [5, 0], "no samples"),
        (torch.zeros(1, 5), [6], "a length of 6"),
        (torch.full((1, 5), torch.inf), [5], "not finite"),
        (torch.zeros(1, PIECE + 2).index_fill(1, torch.tensor([PIECE + 1]), torch.nan),
         [PIECE + 2], "not finite"),
    ],
)  # fmt: skip
def test_waves_that_cannot_be_coded_are_refused(
    wav: torch.Tensor, lengths: list[int], message: str
) -> None:
    with pytest.raises(AudioError, match=message):
        channelled(wav, torch.tensor(lengths), 1, "x")
