"""Published transcribers with tiny random weights, and the judge's own network."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_models
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from slmkit_transcribers.windows import windows

from slmkit.api import AudioError, DataError, WeightsError
from slmkit.host import build
from slmkit.testing.transcribers import transcriber_laws


def waves(*lengths: int) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    return torch.randn(len(lengths), max(lengths)) * 0.1, torch.tensor(lengths)


@pytest.fixture
def wav2vec2(tmp_path: Path) -> Path:
    return tiny_models.wav2vec2(tmp_path / "wav2vec2")


@pytest.fixture
def whisper(tmp_path: Path) -> Path:
    return tiny_models.whisper(tmp_path / "whisper")


@pytest.mark.parametrize("name", ["wav2vec2", "whisper"])
def test_each_row_is_heard_as_it_is_alone(name: str, request: pytest.FixtureRequest) -> None:
    part = build("transcriber", name, {"model": str(request.getfixturevalue(name))})
    wav, lengths = waves(8000, 16000, 5000)
    together = part.transcribe(wav, lengths)
    assert len(together) == 3
    assert any(together), "random weights write something"
    for row, length in enumerate(lengths.tolist()):
        alone = part.transcribe(wav[row : row + 1, :length], lengths[row : row + 1])
        assert alone == [together[row]]
    with pytest.raises(AudioError):
        part.transcribe(torch.full((1, 900), torch.nan), torch.tensor([900]))


@pytest.mark.parametrize("name", ["wav2vec2", "whisper"])
def test_a_model_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(WeightsError, match="hf download nowhere"):
        build("transcriber", name, {"model": "nowhere"})


def ctc(**options: object):
    torch.manual_seed(0)
    return build("transcriber", "ctc", {"width": 32, "layers": 2, "kernel": 5, **options})


def test_the_judge_hears_a_row_as_it_is_alone_whatever_lies_in_the_padding() -> None:
    judge = ctc().eval()
    wav, lengths = waves(8000, 16000, 5000)
    dirty = torch.cat([wav, torch.full((3, 3000), 0.3)], dim=1)
    scores, frames = judge.logits(*judge.features(wav, lengths))
    again, _ = judge.logits(*judge.features(dirty, lengths))
    for row, count in enumerate(frames.tolist()):
        length = int(lengths[row])
        alone, _ = judge.logits(
            *judge.features(wav[row : row + 1, :length], lengths[row : row + 1])
        )
        torch.testing.assert_close(alone[0, :count], scores[row, :count], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(again[row, :count], scores[row, :count], atol=1e-5, rtol=1e-4)


def test_the_judge_writes_its_alphabet_and_names_what_it_cannot() -> None:
    judge = ctc()
    assert judge.ids("It's ONE, two.") == judge.ids("it's one two")
    with pytest.raises(DataError, match="'7'"):
        judge.ids("7 up")


def test_the_judge_learns_what_it_is_told(tmp_path: Path) -> None:
    """Three tones, three letters: a loss that cannot fall would show here."""
    judge = ctc(dropout=0.0)
    time = torch.arange(8000) / 16000
    tones = torch.stack([0.2 * torch.sin(2 * torch.pi * f * time) for f in (300, 900, 2700)])
    lengths, words = torch.tensor([8000] * 3), ["a", "b", "c"]
    mel, frames = judge.features(tones, lengths)
    ids = torch.tensor([judge.ids(word)[0] for word in words])
    optimizer = torch.optim.Adam(judge.parameters(), 3e-3)
    for step in range(1500):
        scores, counts = judge.logits(mel, frames)
        log_probs = scores.log_softmax(-1).transpose(0, 1)
        loss = torch.nn.functional.ctc_loss(log_probs, ids, counts, torch.tensor([1, 1, 1]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 49 and judge.transcribe(tones, lengths) == words:
            break
    assert judge.transcribe(tones, lengths) == words
    judge.save(tmp_path)
    again = ctc()
    again.restore(tmp_path)
    assert again.transcribe(tones, lengths) == words


@pytest.mark.parametrize("name", ["ctc", "wav2vec2", "whisper"])
def test_every_transcriber_keeps_the_laws(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if name == "ctc":
        transcriber_laws(ctc, tmp_path / "saved")
    else:
        model = str(request.getfixturevalue(name))
        transcriber_laws(lambda: build("transcriber", name, {"model": model}), tmp_path / "saved")


def test_the_laws_find_a_transcriber_that_hears_the_padding(tmp_path: Path) -> None:
    judge = ctc()
    judge.transcribe = lambda wav, lengths: [f"{wav.shape[1]} wide"] * len(wav)
    with pytest.raises(AssertionError, match="padding"):
        transcriber_laws(lambda: judge, tmp_path)


@pytest.mark.parametrize("name", ["wav2vec2", "whisper"])
def test_sound_longer_than_a_window_is_heard_to_its_end(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slmkit_transcribers.windows.LONGEST_S", 1.0)
    part = build("transcriber", name, {"model": str(request.getfixturevalue(name))})
    wav, lengths = waves(40000)
    pieces = windows(wav[0], 16000, 1.0)
    assert len(pieces) >= 3
    each = [part.transcribe(p[None], torch.tensor([len(p)]))[0] for p in pieces]
    assert part.transcribe(wav, lengths) == [" ".join(filter(None, each))]


def test_sound_shorter_than_a_frame_is_heard(wav2vec2: Path) -> None:
    part = build("transcriber", "wav2vec2", {"model": str(wav2vec2)})
    assert len(part.transcribe(*waves(30))) == 1


@settings(max_examples=60, deadline=None)
@given(samples=st.integers(1, 5000), longest=st.floats(0.05, 2.0), rate=st.integers(50, 1000))
def test_windows_are_the_wave_and_none_is_too_long(samples: int, longest: float, rate: int) -> None:
    wav = torch.randn(samples, generator=torch.Generator().manual_seed(samples))
    pieces = windows(wav, rate, longest)
    assert torch.equal(torch.cat(pieces), wav)
    assert all(0 < len(piece) <= max(1, round(longest * rate)) for piece in pieces)


def test_a_cut_lies_in_the_pause() -> None:
    wav = torch.ones(3000)
    wav[1700:1800] = 0.0
    first, second = windows(wav, 1000, 2.0)
    assert 1700 <= len(first) <= 1800
    assert len(first) + len(second) == 3000
