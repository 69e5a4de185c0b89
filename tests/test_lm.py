"""The vocabulary, the flat layout, the model and the generation loop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slmkit.api import CodeSpec, Segment, Speech, Text, VocabularyError
from slmkit.generation.loop import complete, steps, stream
from slmkit.generation.sampling import Sampling, choose, generators, narrow
from slmkit.host import build
from slmkit.lm.grid import GridBatch
from slmkit.lm.pieces import join
from slmkit.lm.saving import load_lm, save_lm
from slmkit.lm.speechlm import SpeechLM
from slmkit.lm.vocabulary import END_OF_SPEECH, START_OF_SPEECH, Section, Vocabulary
from slmkit.training.lm import LmTraining, Steps

LETTERS = "abcdefgh "


def vocabulary(codebooks: int = 1) -> Vocabulary:
    text = build("text", "characters")
    text.fit([LETTERS])
    units = [Section.codes(7 + k, k) for k in range(codebooks)]
    marks = Section.special(START_OF_SPEECH, END_OF_SPEECH)
    return Vocabulary(text).extend(*units, marks, Section.special("<eoh>", "<eoa>"))


def model(codebooks: int = 1, seed: int = 0) -> SpeechLM:
    torch.manual_seed(seed)
    sizes = tuple(7 + k for k in range(codebooks))
    backbone = build("backbone", "llama", {"width": 32, "layers": 2, "heads": 2})
    spec = CodeSpec(16000, 320, sizes)
    return SpeechLM(backbone, build("decoding", "flat"), vocabulary(codebooks), spec).eval()


@st.composite
def dialogues(draw: st.DrawFn, codebooks: int) -> list[Text | Speech]:
    segments: list[Text | Speech] = []
    for _ in range(draw(st.integers(0, 5))):
        learn = draw(st.booleans())
        if draw(st.booleans()):
            piece = draw(st.text(LETTERS, min_size=1, max_size=6))
            segments.append(Text(piece + draw(st.sampled_from(["", "<eoh>"])), learn))
        else:
            frames = draw(st.integers(0, 5))
            rows = [
                draw(st.lists(st.integers(0, 6 + k), min_size=frames, max_size=frames))
                for k in range(codebooks)
            ]
            segments.append(
                Speech(np.array(rows, dtype=np.int64).reshape(codebooks, frames), learn)
            )
    return segments


def told(segments: Sequence[Segment]) -> list[tuple[object, bool]]:
    """Segments as comparable values, neighbouring text joined."""
    values: list[tuple[object, bool]] = []
    for s in segments:
        if isinstance(s, Text) and values and values[-1][1] == s.learn:
            before = values[-1][0]
            if isinstance(before, str):
                values[-1] = (before + s.text, s.learn)
                continue
        values.append((s.text if isinstance(s, Text) else s.codes.tolist(), s.learn))
    return values


@pytest.mark.parametrize("codebooks", [1, 3])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_flatten_reads_back_what_it_laid(codebooks: int, data: st.DataObject) -> None:
    segments = data.draw(dialogues(codebooks))
    layout, words = build("layout", "flatten"), vocabulary(codebooks)
    grid = layout.lay(segments, words)
    assert told(layout.read(grid, words)) == told(segments)
    learnt = sum(
        len(words.encode(s.text)) if isinstance(s, Text) else s.codes.size + 2
        for s in segments
        if s.learn
    )
    assert int(grid.learn.sum()) == learnt, "the loss covers each target of a learnt segment once"
    assert grid.real.all()


def test_the_vocabulary_keeps_every_id_when_it_grows() -> None:
    small = vocabulary()
    large = small.extend(Section.special("[tq]"))
    text = "abc<eoh> de<eoa>"
    assert large.encode(text) == small.encode(text)
    assert small.decode(small.encode(text)) == text
    assert large.hash != small.hash
    assert large.id_of("[tq]") == small.size
    assert Vocabulary.from_dict(small.text, small.to_dict()).hash == small.hash


def test_what_is_not_spelt_is_not_written() -> None:
    words = vocabulary()
    sosp, marks = words.id_of(START_OF_SPEECH), [words.id_of(n) for n in ("<eoh>", "<eoa>")]
    spelt = [index for each in words.written for index in each]
    assert spelt == [*range(len(LETTERS)), sosp, *marks]
    words.text.spells = False
    unspelt = words.extend(Section.special("[tq]"))
    assert [index for each in unspelt.written for index in each] == [sosp, *marks, words.size]


def test_the_vocabulary_refuses_what_it_has_no_ids_for() -> None:
    words = vocabulary()
    with pytest.raises(VocabularyError, match="<tq>"):
        words.id_of("<tq>")
    with pytest.raises(VocabularyError, match="codes up to 7"):
        words.encode_codes(np.array([[7]]))
    with pytest.raises(VocabularyError, match="2 codebooks"):
        words.encode_codes(np.array([[1], [1]]))
    with pytest.raises(VocabularyError, match="twice"):
        words.extend(Section.special("<eoh>"))


def test_a_grown_model_answers_as_before_on_old_ids() -> None:
    lm = model()
    grid = lm.layout.lay([Text("abc", True), Speech(np.array([[1, 2, 3]]), True)], lm.vocabulary)
    tokens = GridBatch.of([grid]).tokens
    before = lm.head.logits(lm.backbone(lm.embed(tokens)), tokens)[0]
    size = lm.vocabulary.size
    lm.extend(Section.special("[tq]", "[ta]"))
    after = lm.head.logits(lm.backbone(lm.embed(tokens)), tokens)[0]
    assert lm.vocabulary.size == size + 2
    torch.testing.assert_close(after[..., :size], before)


def test_loss_is_the_mean_over_learnt_targets_whatever_the_padding() -> None:
    lm = model()
    short = lm.layout.lay([Text("ab"), Text("cd", True)], lm.vocabulary)
    long = lm.layout.lay([Text("a"), Speech(np.array([[1, 2, 3, 4]]), True)], lm.vocabulary)
    alone = [lm.loss(GridBatch.of([grid])) for grid in (short, long)]
    both = lm.loss(GridBatch.of([short, long], multiple=16))
    counts = torch.tensor([2.0, 6.0])
    torch.testing.assert_close(both, (torch.stack(alone) * counts).sum() / counts.sum())


def test_a_text_target_counts_as_often_as_it_is_told() -> None:
    lm = model()
    text, units = Text("abcd", True), Speech(np.array([[1, 2, 3, 4]]), True)
    words = GridBatch.of([lm.layout.lay([Text("a"), text], lm.vocabulary)])
    torch.testing.assert_close(lm.loss(words, text_weight=5.0), lm.loss(words))
    grid = lm.layout.lay([text, units], lm.vocabulary)
    batch = GridBatch.of([grid])
    codes = lm.vocabulary.is_code(batch.tokens)
    assert int(codes.sum()) == 4, "the marks around the units are no codes"
    only = [
        GridBatch(batch.tokens, batch.learn & which, batch.lengths) for which in (codes, ~codes)
    ]
    coded, written = (lm.loss(each) for each in only)
    counts = [int(each.learn[:, :, 1:].sum()) for each in only]
    due = (coded * counts[0] + 5 * written * counts[1]) / (counts[0] + 5 * counts[1])
    torch.testing.assert_close(lm.loss(batch, text_weight=5.0), due)


def test_a_model_is_saved_with_all_it_takes_and_refuses_another_vocabulary(tmp_path) -> None:
    lm = model()
    save_lm(lm, tmp_path)
    again = load_lm(tmp_path)
    grid = lm.layout.lay([Text("abc", True)], lm.vocabulary)
    batch = GridBatch.of([grid])
    torch.testing.assert_close(again.loss(batch), lm.loss(batch), rtol=0, atol=0)
    again.extend(Section.special("[tq]"))
    with pytest.raises(VocabularyError, match="made for vocabulary"):
        again.restore(tmp_path)


PROMPTS = [
    [Text("ab")],
    [Text("cdefg"), Speech(np.array([[1, 2, 3]]))],
    [Speech(np.array([[0]])), Text("h<eoh>")],
]


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=0, most=20),
        Sampling(temperature=1.0, top_k=9, top_p=0.9, most=20, seed=3),
        Sampling(temperature=1.3, most=20, least=5, seed=4),
    ],
    ids=["greedy", "nucleus", "least"],
)
def test_an_answer_is_the_same_alone_in_a_batch_and_streamed(sampling: Sampling) -> None:
    lm = model()
    together = complete(lm, PROMPTS, sampling)
    for row, prompt in enumerate(PROMPTS):
        assert told(complete(lm, [prompt], sampling, [row])[0]) == told(together[row])
        assert told(join(list(stream(lm, prompt, sampling, row)))) == told(together[row])


def test_stop_tokens_end_a_row_and_least_holds_them_back() -> None:
    lm = model()
    stop = lm.vocabulary.id_of("<eoa>")
    with torch.no_grad():
        lm.head.rows(0).zero_()
        lm.head.rows(0)[stop] = 1.0
        lm.backbone.norm.weight.fill_(1.0)
    grids = [lm.layout.lay([Text("a")], lm.vocabulary)] * 2
    with torch.no_grad():
        hidden = lm.backbone(lm.embed(GridBatch.of(grids).tokens))[0, -1]
        lm.head.rows(0)[stop] = hidden
    assert len(list(steps(lm, grids, Sampling(temperature=0, most=9)))) == 1
    held = list(steps(lm, grids, Sampling(temperature=0, most=9, least=4)))
    assert len(held) > 4
    assert all(int(step.tokens[0, 0]) != stop for step in held[:4])


def test_narrowing_keeps_the_best_and_drops_the_rest() -> None:
    scores = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    assert torch.isfinite(narrow(scores, Sampling(top_k=2))).tolist() == [
        [True, True, False, False]
    ]
    assert torch.isfinite(narrow(scores, Sampling(top_p=0.8))).tolist() == [
        [True, True, False, False]
    ]
    assert torch.isfinite(narrow(scores, Sampling(top_p=0.81))).sum() == 3


def test_samples_follow_the_scores() -> None:
    scores = torch.log(torch.tensor([[0.6, 0.3, 0.1]]))
    streams = generators(Sampling(), [0])
    picks = torch.stack([choose(scores, Sampling(), streams)[0] for _ in range(4000)])
    shares = torch.bincount(picks, minlength=3) / 4000
    torch.testing.assert_close(shares, torch.tensor([0.6, 0.3, 0.1]), atol=0.03, rtol=0)


def test_stray_tokens_among_the_codes_break_only_their_frame() -> None:
    layout, words = build("layout", "flatten"), vocabulary(2)
    first, second = words.code_range(0), words.code_range(1)
    ids = [words.id_of(START_OF_SPEECH), first[1], second[2], first[3], first[4], second[5]]
    state, pieces = layout.open(words), []
    for token in ids:
        found, state = layout.step([token], state, words)
        pieces += found
    (speech,) = join(pieces)
    assert speech.codes.tolist() == [[1, 4], [2, 5]]


def test_noise_changes_what_is_read_never_what_is_to_be_learnt() -> None:
    lm = model()
    heard, spoken = np.arange(7)[None].repeat(30, 0).reshape(1, -1), np.zeros((1, 200), np.int64)
    grid = lm.layout.lay([Text("ab"), Speech(heard), Speech(spoken, True)], lm.vocabulary)
    training = LmTraining(steps=9, lr=1e-3, warmup=1, batch_tokens=1000, noise=0.3)
    steps_of = Steps([grid], training, lm.vocabulary, seed=0)
    clean, batch = torch.from_numpy(grid.tokens), steps_of[3]
    assert torch.equal(batch.tokens[0, :, : grid.steps], clean), "targets stay as they are"
    changed = batch.given[0, :, : grid.steps] != clean
    assert 0.15 < changed.sum() / (heard.size + spoken.size) < 0.4
    codes = lm.vocabulary.code_range()
    assert all(int(token) in codes for token in clean[changed]), "text and marks stay"
    assert all(int(token) in codes for token in batch.given[0, :, : grid.steps][changed])
    assert torch.equal(steps_of[3].given, batch.given)
    assert (steps_of[4].given != batch.given).any()
    assert lm.loss(batch) != lm.loss(GridBatch(batch.tokens, batch.learn, batch.lengths))
