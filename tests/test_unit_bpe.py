"""unit-bpe: any units come back, time is kept, and the inner part is built, checked and saved."""

from __future__ import annotations

import dataclasses
import io
import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from slmkit_units.pairs import UnitPairs
from slmkit_units.plugin import UnitBpeOptions
from slmkit_units.unit_bpe import UnitBpe

from slmkit.api import (
    Codes,
    CodeSpec,
    DataError,
    MisfitError,
    OptionsError,
    Tokenizer,
    WeightsError,
)
from slmkit.codecs.replay import Replay
from slmkit.host import build, host, load_part, make_options, save_part
from slmkit.recipe.fingerprint import _part
from slmkit.recipe.fit import _held
from slmkit.testing import check_part
from slmkit.testing.tokenizers import sounds

UNITS = 6


class Given(Tokenizer):
    """Gives the units that it is told."""

    spec = CodeSpec(16000, 320, (UNITS,))

    def encode(self, wav: torch.Tensor, lengths: torch.Tensor) -> Codes:
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        """Nothing."""


def wrapper(size: int = 20, deduplicate: bool = True) -> UnitBpe:
    part = UnitBpe(UnitBpeOptions(size=size, deduplicate=deduplicate), Given())
    sequences = [[0, 1, 2, 3, 0, 1, 2, 4, 0, 1, 5], [0, 1, 2, 0, 1, 2, 5, 4, 5, 4]] * 3
    part.pairs.fit(sequences, size)
    return part


def coded(rows: list[list[int]]) -> Codes:
    return Codes.pad([torch.tensor(row, dtype=torch.int64)[None] for row in rows], Given.spec)


SEQUENCES = st.lists(
    st.lists(st.integers(0, UNITS - 1), min_size=1, max_size=40), min_size=1, max_size=4
)


@settings(max_examples=200, deadline=None)
@given(rows=SEQUENCES, deduplicate=st.booleans(), size=st.sampled_from([1, 7, 20]))
def test_any_units_come_back_and_keep_their_time(
    rows: list[list[int]], deduplicate: bool, size: int
) -> None:
    part, codes = wrapper(size, deduplicate), coded(rows)
    short = part.shorten(codes)
    assert short.spec == part.spec
    assert short.durations is not None
    assert short.durations.sum(dim=1).tolist() == [len(row) for row in rows]
    assert bool((short.lengths <= codes.lengths).all())
    back = part.expand(short)
    assert torch.equal(back.values, codes.values)
    assert torch.equal(back.lengths, codes.lengths)
    assert back.spec == codes.spec
    for row in range(len(rows)):
        alone = part.shorten(codes.row(row))
        assert torch.equal(alone.values[0], short.row(row).values[0])
        assert torch.equal(part.expand(short.row(row)).values[0], codes.row(row).values[0])


def test_frequent_pairs_become_one_token() -> None:
    short = wrapper().shorten(coded([[0, 0, 1, 2, 2, 2, 5]]))
    assert short.values[0, 0, -1] == 5
    assert short.values.shape[2] < 4
    assert short.durations.tolist()[0][-1] == 1
    assert wrapper(size=1).shorten(coded([[0, 0, 1, 2, 2]])).durations.tolist() == [[2, 1, 2]]


def test_tokens_without_times_give_merged_units() -> None:
    part = wrapper()
    short = part.shorten(coded([[0, 0, 1, 2, 2, 5]]))
    made_up = dataclasses.replace(short, durations=None, side={})
    units = part.expand(made_up)
    assert units.values.tolist() == [[[0, 1, 2, 5]]]
    assert units.spec.deduplicated
    assert units.durations is None


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    part = wrapper()
    with pytest.raises(DataError, match="token 19 stands for no units"):
        part.expand(Codes(torch.tensor([[[19]]]), torch.tensor([1]), part.spec))
    with pytest.raises(DataError, match="units are 0 to 5; found 0 to 6"):
        part.pairs.encode([0, 6])
    with pytest.raises(MisfitError, match="at most 131072"):
        UnitPairs(131073)
    two = Given()
    two.spec = CodeSpec(16000, 320, (6, 6))
    with pytest.raises(MisfitError, match="has 2"):
        UnitBpe(UnitBpeOptions(), two)
    part.pairs.save(tmp_path / "pairs.json")
    with pytest.raises(WeightsError, match="not learnt from 7 units"):
        UnitPairs(7).restore(tmp_path / "pairs.json")
    (tmp_path / "pairs.json").write_text("{}")
    with pytest.raises(WeightsError, match="not a file of unit pairs"):
        part.pairs.restore(tmp_path / "pairs.json")


@pytest.mark.parametrize("taken", [0, 2, 3])
def test_a_stream_is_heard_twice_whatever_the_first_took(taken: int) -> None:
    batches = [(torch.full((2, 3 + n), float(n)), torch.tensor([3, 3 + n])) for n in range(3)]
    replay = Replay(iter(batches), io.BytesIO())
    assert len(list(itertools.islice(replay.first(), taken))) == taken
    again = list(replay.again())
    assert len(again) == 3
    for (wav, lengths), (heard, counted) in zip(batches, again, strict=True):
        assert torch.equal(wav, heard)
        assert torch.equal(lengths, counted)


# --- the part that it holds

VALUES = {"inner": {"part": "mel-km", "clusters": 16}, "size": 40}


@pytest.mark.parametrize("deduplicate", [True, False])
def test_the_laws_are_kept(deduplicate: bool, tmp_path: Path) -> None:
    check_part("tokenizer", "unit-bpe", tmp_path, {**VALUES, "deduplicate": deduplicate})


def test_it_is_built_with_its_inner_part_saved_and_loaded(tmp_path: Path) -> None:
    part = build("tokenizer", "unit-bpe", VALUES)
    assert part.inner.origin.options.clusters == 16
    part.fit(sounds(16000, seed) for seed in range(3))
    codes = part.encode(*sounds(16000, 7))
    units = part.inner.encode(*sounds(16000, 7))
    assert torch.equal(part.expand(codes).values, units.values)
    origin = part.origin
    save_part(part, tmp_path, origin.shelved, origin.options, origin.given)
    again = load_part(tmp_path).encode(*sounds(16000, 7))
    assert torch.equal(again.values, codes.values)


@pytest.mark.parametrize(
    ("inner", "fault"),
    [
        ({}, "option 'inner': must name its part"),
        ({"part": "mel-kn"}, "option 'inner': unknown tokenizer 'mel-kn'; did you mean mel-km"),
        ({"part": "mel-km", "clutsers": 3}, "option 'inner.clutsers': .*did you mean 'clusters'"),
        ({"part": "mel-km", "clusters": "x"}, "option 'inner.clusters': 'x' is not int"),
        ({"part": "mel-km", "clusters": 0}, "option 'inner': clusters, hop_length"),
        ({"part": "unit-bpe", "inner": {"part": "no"}}, "option 'inner.inner': unknown tokenizer"),
    ],
)
def test_a_wrong_inner_part_is_named_before_anything_is_built(
    inner: dict[str, object], fault: str
) -> None:
    with pytest.raises(OptionsError, match=fault):
        make_options(host().find("tokenizer", "unit-bpe"), {"inner": inner})


def test_a_fingerprint_covers_the_inner_part() -> None:
    shelved = host().find("tokenizer", "unit-bpe")
    made_of = _part(shelved, make_options(shelved, VALUES), lambda path: "")
    held = made_of["parts"]["inner"]
    assert held["name"] == "mel-km"
    assert held["options"]["clusters"] == 16
    assert held["source"] == _part(*_mel(), lambda path: "")["source"]


def _mel() -> tuple[object, object]:
    shelved = host().find("tokenizer", "mel-km")
    return shelved, make_options(shelved, {})


def test_what_an_inner_part_lacks_is_asked_for_before_any_work() -> None:
    """`check_available` goes through the parts that options hold, and through theirs."""
    shelved = host().find("tokenizer", "unit-bpe")
    values = {"inner": {"part": "hubert-km", "preset": "mhubert-l11-km1000"}}
    assert [part.name for part in _held(make_options(shelved, values))] == ["hubert-km"]
    deeper = {"inner": {"part": "unit-bpe", "inner": {"part": "mel-km"}}}
    assert [part.name for part in _held(make_options(shelved, deeper))] == ["unit-bpe", "mel-km"]
