"""The probe: it reads what is in the codes, and only that; and the stages around it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
import torch
from slmkit_codec_evaluation.compare import compare
from slmkit_codec_evaluation.plugin import CompareProbesOptions, ProbeCodecOptions
from slmkit_codec_evaluation.probe import exchanged, probe, reads, scored
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from toy_probe import SPEC, Context, said, small, spoken, text_of

from slmkit.api import CodeSpec, DataError, MisfitError
from slmkit.codecs.recurrent import from_own_ends
from slmkit.data.shards import StoredCodes
from slmkit.data.store import TokenStore
from slmkit.training import trainer as trainer_module
from slmkit.training.ctc import ctc_losses, greedy
from slmkit.training.probe import (
    Probe,
    ProbeBatch,
    ProbeLearner,
    ProbeSteps,
    ProbeTraining,
    Read,
    fit_probe,
    plain_text,
    repeats,
)

TRAINING = ProbeTraining(steps=150, lr=1e-2, batch_frames=1500)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store") / "codes"
    made = TokenStore.create(folder, SPEC, "none")
    with made.writer() as writer:
        for split, count in (("train", 60), ("dev", 8), ("test", 12)):
            for read in said(count, len(split)):
                id = f"{split}-{read.id}"
                writer.add(StoredCodes(id, read.codes, split=split, text=read.text.upper() + "."))
        writer.add(StoredCodes("silent", spoken("ab", 0), split="test"))
    return folder


def probed(store: Path, folder: Path, **options: Any) -> Context:
    context = Context(folder, store)
    values = {"books": "first", "width": 32, "steps": 90, "lr": 2e-2, "batch_frames": 1500}
    probe(ProbeCodecOptions(**{**values, **options}), context)
    return context


def wer(context: Context, name: str = "probe-wer") -> float:
    return {row.metric: row.value for row in context.results}[name]


def test_it_reads_what_is_in_the_codes(store: Path, tmp_path: Path) -> None:
    context = probed(store, tmp_path)
    assert wer(context) < 10
    assert {row.metric: row.n for row in context.results} == {"probe-wer": 12, "probe-cer": 12}
    left = json.loads((tmp_path / "probe" / "utterances.json").read_text())
    truth = [each["text"] for each in left["utterances"]]
    given = [each["written"] for each in left["utterances"]]
    assert truth == [plain_text(text_of(4000 + n)) for n in sorted(range(12), key=str)]
    assert wer(context) == pytest.approx(100 * jiwer.wer(truth, given))
    assert wer(context, "probe-cer") == pytest.approx(100 * jiwer.cer(truth, given))
    block = json.loads((tmp_path / "report.json").read_text())[0]
    assert block["rows"][0][1:3] == [truth[0], given[0]]


@pytest.mark.parametrize("options", [{"shuffled_text": True}, {"books": "2"}])
def test_it_reads_nothing_where_nothing_is(
    options: dict[str, Any], store: Path, tmp_path: Path
) -> None:
    """The controls: learnt from other utterances' texts, and from a codebook of noise."""
    assert wer(probed(store, tmp_path, **options)) > 80


def test_codebooks_are_read_together(store: Path, tmp_path: Path) -> None:
    assert wer(probed(store, tmp_path, books="all", label="both"), "both/probe-wer") < 20


def test_a_killed_training_ends_as_an_unbroken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, the best ones included, to the last bit."""
    monkeypatch.setattr(trainer_module, "CHECKPOINT_EVERY_S", 0.0)
    training, train, dev = ProbeTraining(30, 1e-2, 600), said(30, 1), said(5, 2)

    class KilledError(Exception):
        pass

    original = ProbeLearner.training_step

    def dying(self: ProbeLearner, batch: ProbeBatch, index: int) -> torch.Tensor:
        if self.global_step == 17:
            raise KilledError
        return original(self, batch, index)

    def trained(folder: str) -> Probe:
        reader = small(codebooks=2)
        fit_probe(reader, train, dev, training, Context(tmp_path / folder))
        return reader

    whole = trained("whole")
    with monkeypatch.context() as broken:
        broken.setattr(ProbeLearner, "training_step", dying)
        with pytest.raises(KilledError):
            trained("broken")
    taken_up = trained("broken")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(taken_up.state_dict()[name], tensor), name


def test_what_wrote_the_held_out_texts_best_is_kept(tmp_path: Path) -> None:
    learner = ProbeLearner(small(codebooks=2), TRAINING)
    dev = said(4, 3)
    batch = ProbeBatch.of(dev, learner.probe)
    learner.log = lambda *_, **__: None  # type: ignore[method-assign]
    errors = []
    for always in (0, 2, 0):  # the blank, which writes nothing, and a letter
        with torch.no_grad():
            learner.probe.last.bias.fill_(0.0)[always] = 9.0
        learner.validation_step(batch, 0)
        learner.on_validation_epoch_end()
        written = learner.probe.write(dev)
        errors.append(jiwer.cer([read.text for read in dev], written))
        learner.probe.train()
    best = min(errors)
    assert learner.best_errors == pytest.approx(best)
    assert max(errors) > best
    learner.settle()
    assert jiwer.cer([r.text for r in dev], learner.probe.write(dev)) == pytest.approx(best)


def test_an_utterance_is_read_the_same_in_any_batch() -> None:
    reader, some = small(codebooks=2, repeat=2).eval(), said(6, 4)
    together = ProbeBatch.of(some, reader)
    with torch.inference_mode():
        scores, lengths = reader(together.codes, together.lengths)
        for row, read in enumerate(some):
            alone, length = reader(*ProbeBatch.of([read], reader)[:2])
            assert int(length) == int(lengths[row]) == 2 * read.codes.shape[1]
            torch.testing.assert_close(scores[row, : int(length)], alone[0], atol=1e-5, rtol=0)


def test_rows_read_from_their_own_ends_are_torchs_packed_ones() -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(5, 7, 2, bidirectional=True)
    steps, ends = torch.randn(9, 3, 5), [9, 4, 6]
    packed = pack_padded_sequence(steps, torch.tensor(ends), enforce_sorted=False)
    theirs, _ = pad_packed_sequence(lstm(packed)[0])
    ours = from_own_ends(lstm, steps, ends)
    for row, end in enumerate(ends):
        torch.testing.assert_close(ours[:end, row], theirs[:end, row], atol=1e-5, rtol=0)


def test_the_loss_of_a_text_is_the_sum_over_all_its_paths() -> None:
    """Every path of three frames, merged by hand."""
    torch.manual_seed(1)
    scores = torch.randn(1, 3, 3)
    shares = scores[0].double().softmax(dim=-1)
    found: dict[tuple[int, ...], float] = {}
    for path in np.ndindex(3, 3, 3):
        merged = [p for i, p in enumerate(path) if i == 0 or p != path[i - 1]]
        text = tuple(p for p in merged if p)
        chance = float(shares[0, path[0]] * shares[1, path[1]] * shares[2, path[2]])
        found[text] = found.get(text, 0.0) + chance
    for text, chance in found.items():
        ids = torch.tensor(text, dtype=torch.int64)
        loss = ctc_losses(scores, torch.tensor([3]), ids, torch.tensor([len(text)]))
        assert float(loss) == pytest.approx(-np.log(chance), rel=1e-4)
    too_long = torch.tensor([1, 1, 1])
    given = scores, torch.tensor([3]), too_long, torch.tensor([3])
    assert float(ctc_losses(*given)) == 0
    assert float(ctc_losses(*given, endless=True)) == np.inf
    best = greedy(torch.eye(3)[[0, 1, 1, 0, 1, 2, 2]][None], torch.tensor([6]))
    assert best == [[1, 1, 2]]


def test_a_step_is_a_pure_function_of_seed_and_number() -> None:
    reader, some = small(codebooks=2), said(20, 5)
    one, two, other = (ProbeSteps(some, reader, TRAINING, seed) for seed in (0, 0, 1))
    for step in (7, 2, 7):
        assert torch.equal(one[step].codes, two[step].codes)
        assert torch.equal(one[step].ids, two[step].ids)
    assert any(not torch.equal(one[n].ids, other[n].ids) for n in range(6))


@pytest.mark.parametrize(("rate", "count"), [(75.0, 1), (50.0, 1), (49.9, 2), (25.0, 2), (12.5, 4)])
def test_slow_codes_are_read_often_enough_to_write(rate: float, count: int) -> None:
    assert repeats(rate) == count


def test_a_text_fits_where_its_neighbours_can_be_kept_apart() -> None:
    def fits(text: str, frames: int, repeat: int = 1) -> bool:
        return small(repeat=repeat).fits(Read("u", np.zeros((1, frames), int), text))

    assert fits("abc", 3)
    assert not fits("abb", 3)
    assert fits("abb", 4)
    assert fits("abb", 2, repeat=2)


def test_texts_are_exchanged_and_none_keeps_its_own() -> None:
    some = said(30, 6)
    other = exchanged(some, 0)
    assert [read.id for read in other] == [read.id for read in some]
    assert all(a.text != b.text for a, b in zip(some, other, strict=True))
    texts = [[read.text for read in exchanged(some, seed)] for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    assert texts[0] == [read.text for read in other]


def test_only_chosen_codebooks_of_what_has_a_text_are_read(store: Path) -> None:
    opened = TokenStore.open(store)
    found = reads(opened, "test", (1,))
    assert len(found) == 12
    row = opened.row(found[0].id)
    assert np.array_equal(found[0].codes, row.codes[1:])
    assert found[0].text == plain_text(row.text or "") == text_of(4000)


def test_merged_units_are_read_as_long_as_they_lasted(tmp_path: Path) -> None:
    spec = replace(CodeSpec(16000, 320, (8,)), deduplicated=True)
    made = TokenStore.create(tmp_path / "codes", spec, "none")
    with made.writer() as writer:
        writer.add(StoredCodes("u", np.array([[3, 1]]), text="a", durations=np.array([2, 3])))
    assert reads(made, "train", (0,))[0].codes.tolist() == [[3, 3, 1, 1, 1]]


def test_nothing_to_read_is_an_error(store: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the split 'other' has no utterance with codes and a text"):
        probed(store, tmp_path, split="other")
    with pytest.raises(MisfitError, match="books '2:3' of a tokenizer that has 2"):
        probed(store, tmp_path, books="2:3")
    with pytest.raises(DataError, match="nothing to train a probe on"):
        fit_probe(small(), [], [], TRAINING, Context(tmp_path))


def left(folder: Path, written: list[str], texts: list[str]) -> None:
    """What a probe leaves that wrote this."""
    some = [Read(f"u{n}", np.zeros((1, 1), int), text) for n, text in enumerate(texts)]
    errors = {"split": "test", "utterances": [vars(e) for e in scored(some, written)]}
    (folder / "probe").mkdir(parents=True)
    (folder / "probe" / "utterances.json").write_text(json.dumps(errors))


def test_two_probes_are_compared_over_the_same_utterances(tmp_path: Path) -> None:
    texts = [text_of(n) for n in range(40)]
    left(tmp_path / "good", [t if n % 4 else "" for n, t in enumerate(texts)], texts)
    left(tmp_path / "bad", [t if n % 2 else "" for n, t in enumerate(texts)], texts)
    context = Context(tmp_path)
    compare(CompareProbesOptions(first="good", second="bad", label="x"), context)
    row, _ = context.results
    assert (row.metric, row.split, row.n) == ("x/probe-wer-difference", "test", 40)
    assert row.value == pytest.approx(-25)
    assert row.low < -25 < row.high < 0
    compare(CompareProbesOptions(first="good", second="good"), context)
    assert [r.value for r in context.results[2:]] == [0.0, 0.0]


def test_probes_of_other_texts_are_not_compared(tmp_path: Path) -> None:
    left(tmp_path / "one", ["a", "b"], ["a", "b"])
    left(tmp_path / "other", ["a", "b"], ["a", "c"])
    context = Context(tmp_path)
    with pytest.raises(DataError, match="did not read the same texts"):
        compare(CompareProbesOptions(first="one", second="other"), context)
    with pytest.raises(DataError, match="no probe was trained here"):
        compare(CompareProbesOptions(first="one", second="none"), context)
