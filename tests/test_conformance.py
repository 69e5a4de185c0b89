"""Every built-in part keeps the laws of its kind; and the laws find those who break them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from torch import Tensor, nn

from slmkit.api import (
    AudioError,
    Backbone,
    Codes,
    CodeSpec,
    Corpus,
    Declaration,
    Decoding,
    Generator,
    Head,
    Progress,
    TextTokenizer,
    Tokenizer,
    Utterance,
    option,
)
from slmkit.data.audio import write_audio
from slmkit.host import Shelved, host
from slmkit.testing import (
    backbone_laws,
    check_part,
    corpus_laws,
    decoding_laws,
    head_laws,
    options_laws,
    speaker_encoder_laws,
    text_laws,
    tokenizer_laws,
)

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def digits(folder: Path) -> str:
    """A manifest of tones for digits, two speakers, three splits, with their texts beside them."""
    folder.mkdir()
    rows = []
    for speaker in ("ann", "bob"):
        for split in ("train", "dev", "test"):
            for number, digit in enumerate(DIGITS):
                name = f"{split}-{speaker}-{digit}"
                tone = np.sin(np.arange(900 + 40 * number) * (0.1 + 0.02 * number))
                write_audio(folder / f"{name}.wav", 0.3 * tone, 8000)
                (folder / f"{name}.txt").write_text(digit)
                rows.append({"id": name, "audio": f"{name}.wav", "text": digit,
                             "speaker": speaker, "split": split})  # fmt: skip
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return str(folder / "manifest.jsonl")


QUESTIONS = {"questions": 12, "dev": 6, "test": 6, "words": 8}
VALUES: dict[tuple[str, str], Callable[[Path], dict[str, Any]]] = {
    ("corpus", "manifest"): lambda f: {"manifest": digits(f / "digits")},
    ("corpus", "folder"): lambda f: {"path": str(Path(digits(f / "digits")).parent)},
    ("corpus", "spoken-digits"): lambda f: {"manifest": digits(f / "digits"), **QUESTIONS},
    ("corpus", "spoken-qa"): lambda f: {**QUESTIONS, "voices": 2},
    ("tokenizer", "hubert-km"): lambda f: {
        "model": str(tiny_models.hubert(f / "hubert")), "layer": 2, "clusters": 12,
    },
    ("tokenizer", "speechtokenizer-reference"): lambda f: {
        "config": str(tiny_models.speechtokenizer(f / "config.json")),
    },
    ("text", "hf"): lambda f: {"model": str(tiny_models.text(f / "text"))},
    ("backbone", "hf"): lambda f: {"model": str(tiny_models.llama(f / "llama"))},
    ("transcriber", "whisper"): lambda f: {"model": str(tiny_models.whisper(f / "whisper"))},
    ("transcriber", "wav2vec2"): lambda f: {"model": str(tiny_models.wav2vec2(f / "w2v"))},
    ("speaker-encoder", "wavlm-sv"): lambda f: {"model": str(tiny_models.wavlm(f / "wavlm"))},
}  # fmt: skip
"""Options of parts that need files, or would make more than a test needs; others: defaults."""

BUILT_IN = [(part.kind, part.name) for part in host().parts() if part.distribution == "slmkit"]


@pytest.mark.parametrize(("kind", "name"), BUILT_IN)
def test_every_built_in_part_keeps_the_laws(kind: str, name: str, tmp_path: Path) -> None:
    if missing := host().find(kind, name).missing:
        pytest.skip(f"{', '.join(missing)}: see tests/reference/requirements.txt")
    values = VALUES.get((kind, name), lambda _: {})(tmp_path)
    check_part(kind, name, tmp_path / "checked", values)


# --- the laws find who breaks them


class Levels(Tokenizer):
    """A sound tokenizer: the level of each frame in steps of an eighth of the loudest heard."""

    spec = CodeSpec(16000, 320, (8,))

    def __init__(self) -> None:
        self.loudest = torch.rand(()) + 0.1

    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        rows = []
        for row, length in zip(wav, lengths.tolist(), strict=True):
            if length == 0 or not torch.isfinite(row[:length]).all():
                raise AudioError("nothing to hear")
            rows.append(self.code(row[:length])[None])
        return Codes.pad(rows, self.spec)

    def code(self, wav: Tensor) -> Tensor:
        frames = nn.functional.pad(wav, (0, -len(wav) % 320)).view(-1, 320)
        return (frames.abs().amax(dim=1) / self.loudest * 8).long().clamp(max=7)

    def decode(self, codes: Codes) -> tuple[Tensor, Tensor]:
        wav = (codes.values[:, 0] / 8 * self.loudest).repeat_interleave(320, dim=1)
        real = torch.arange(wav.shape[1]) < codes.lengths[:, None] * 320
        return wav * real, codes.lengths * 320

    def state_dict(self) -> dict[str, Tensor]:
        return {"loudest": self.loudest}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.loudest = state["loudest"]


class HearsPadding(Levels):
    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        codes = super().encode(wav, lengths)
        return replace(codes, values=self.encode_all(wav)[:, :, : codes.values.shape[2]])

    def encode_all(self, wav: Tensor) -> Tensor:
        return Levels.encode(self, wav, torch.full((len(wav),), wav.shape[1])).values


class LeavesPadding(Levels):
    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        codes = super().encode(wav, lengths)
        beyond = torch.arange(codes.values.shape[2]) >= codes.lengths[:, None, None]
        return replace(codes, values=codes.values + beyond)


class Drifts(Levels):
    def code(self, wav: Tensor) -> Tensor:
        frames = wav[: len(wav) // 330 * 330 or 330].unfold(0, min(330, len(wav)), 330)
        return (frames.abs().amax(dim=1) / self.loudest * 8).long().clamp(max=7)


class Overflows(Levels):
    def code(self, wav: Tensor) -> Tensor:
        return super().code(wav) + 8


class Forgets(Levels):
    def restore(self, folder: Path) -> None:
        """Nothing."""


class Dreams(Levels):
    def code(self, wav: Tensor) -> Tensor:
        return torch.randint(8, super().code(wav).shape)


class Swallows(Levels):
    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        return super().encode(torch.nan_to_num(wav), lengths)


class Stretches(Levels):
    def decode(self, codes: Codes) -> tuple[Tensor, Tensor]:
        wav, lengths = super().decode(codes)
        return nn.functional.pad(wav, (0, 999)), lengths + 999


def test_a_sound_tokenizer_passes(tmp_path: Path) -> None:
    tokenizer_laws(Levels, tmp_path)


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (HearsPadding, "padding must not count"),
        (LeavesPadding, "beyond a row's length stand zeros"),
        (Drifts, "the declared rate is 50 Hz"),
        (Overflows, "codes lie in their codebook"),
        (Forgets, "saved and restored"),
        (Dreams, "the same sound gives the same codes"),
        (Swallows, "must raise AudioError"),
        (Stretches, "became"),
    ],
)
def test_a_tokenizer_that_breaks_a_law_is_found(
    broken: type[Levels], law: str, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=law):
        tokenizer_laws(broken, tmp_path)


class Hears(Levels):
    """Level by the loudest of the whole row, padding included."""

    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        self.loudest = wav.abs().max() + 0.1
        return super().encode(wav, lengths)


def test_a_tokenizer_that_hears_its_neighbours_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="padding must not count"):
        tokenizer_laws(Hears, tmp_path)


class Mean(nn.Module, Backbone):
    """A sound backbone: the mean of all steps up to now, through a linear map."""

    width = 8

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(8, 8)

    def forward(self, embedded: Tensor) -> Tensor:
        steps = torch.arange(1, embedded.shape[1] + 1)[:, None]
        return self.map(embedded.cumsum(dim=1) / steps)

    def empty_state(self, batch: int, steps: int) -> dict[str, Any]:
        return {"sum": torch.zeros(batch, 8), "count": torch.zeros(batch, 1)}

    def step(self, embedded, state, lengths=None):
        lengths = torch.full((len(embedded),), embedded.shape[1]) if lengths is None else lengths
        real = (torch.arange(embedded.shape[1]) < lengths[:, None])[..., None]
        sums = state["sum"][:, None] + (embedded * real).cumsum(dim=1)
        counts = state["count"][:, None] + real.cumsum(dim=1)
        out = self.map(sums / counts.clamp(min=1))
        return out, {"sum": sums[:, -1], "count": counts[:, -1]}


class SeesTheFuture(Mean):
    def forward(self, embedded: Tensor) -> Tensor:
        return self.map(embedded.mean(dim=1, keepdim=True).expand_as(embedded))


class CountsPadding(Mean):
    def step(self, embedded, state, lengths=None):
        return super().step(embedded, state)


class HidesItsState(Mean):
    def empty_state(self, batch: int, steps: int) -> dict[str, Any]:
        self.hidden = super().empty_state(batch, steps)
        return {}

    def step(self, embedded, state, lengths=None):
        out, self.hidden = super().step(embedded, self.hidden, lengths)
        return out, {}


class IsDeaf(Mean):
    def forward(self, embedded: Tensor) -> Tensor:
        return self.map(embedded * 0)


def test_a_sound_backbone_passes(tmp_path: Path) -> None:
    backbone_laws(Mean, tmp_path)


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (SeesTheFuture, "must not see what comes after"),
        (CountsPadding, "stepwise differs"),
        (HidesItsState, "not its own"),
        (IsDeaf, "a step sees itself"),
    ],
)
def test_a_backbone_that_breaks_a_law_is_found(
    broken: type[Mean], law: str, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=law):
        backbone_laws(broken, tmp_path)


class Lowers(TextTokenizer):
    size = 0x110000

    def encode(self, text: str) -> list[int]:
        return [ord(c) for c in text.lower()]

    def decode(self, ids) -> str:
        return "".join(map(chr, ids))

    def state_dict(self) -> dict[str, Tensor]:
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Nothing was learnt."""


class Loses(Lowers):
    def encode(self, text: str) -> list[int]:
        return [ord(c) for c in text if ord(c) < 128]


def test_a_text_tokenizer_that_changes_or_loses_text_is_found(tmp_path: Path) -> None:
    text_laws(Lowers, ["abc"], tmp_path)
    with pytest.raises(AssertionError, match="'Abc' comes back as 'abc'"):
        text_laws(Lowers, ["Abc"], tmp_path)
    with pytest.raises(AssertionError, match="must come back, or raise DataError"):
        text_laws(Loses, ["Abc"], tmp_path)


class Tones(Corpus):
    """A sound corpus of one question with its answer; `change` breaks it."""

    def __init__(self, change: Callable[[Utterance], Utterance] = lambda u: u, again: bool = False):
        self.change, self.again = change, again

    def utterances(self, folder: Path, progress: Progress) -> Iterator[Utterance]:
        for number, name in enumerate(("question", "answer")):
            path = folder / f"{name}.wav"
            if self.again or not path.exists():
                write_audio(path, 0.1 * np.sin(np.arange(1600) * 0.1 * (1 + number)), 16000)
            asked = "question" if number else None
            yield self.change(Utterance(name, path, name, duration=0.1, reply_to=asked))


DRAWN = iter(range(1000))


@pytest.mark.parametrize(
    ("change", "law"),
    [
        (lambda u: replace(u, id="same", reply_to=None), "an id of its own"),
        (lambda u: replace(u, reply_to="nobody"), "not there"),
        (lambda u: replace(u, split=u.id), "in another split"),
        (lambda u: replace(u, duration=9.0), "which lasts 0.1 s"),
        (lambda u: replace(u, text=str(next(DRAWN))), "each time the same"),
        (lambda u: replace(u, audio=None, text=None), "neither sound nor text"),
    ],
)
def test_a_corpus_that_breaks_a_law_is_found(
    change: Callable[[Utterance], Utterance], law: str, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=law):
        corpus_laws(lambda: Tones(change), tmp_path)


def test_a_corpus_that_makes_its_sound_again_is_found(tmp_path: Path) -> None:
    corpus_laws(Tones, tmp_path / "sound")
    with pytest.raises(AssertionError, match="was written again"):
        corpus_laws(lambda: Tones(again=True), tmp_path / "again")


class Planner(Decoding):
    def __init__(self, *generators: Generator) -> None:
        self.generators = generators

    def plan(self, spec: CodeSpec) -> tuple[Generator, ...]:
        return self.generators


class Opposite(nn.Module, Head):
    """Samples by other scores than it gives."""

    def __init__(self, width: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(width, size) for size in sizes)

    def logits(self, hidden: Tensor, tokens: Tensor) -> list[Tensor]:
        return [each(hidden) for each in self.maps]

    def sample(self, hidden: Tensor, pick: Callable[[Tensor, int], Tensor]) -> Tensor:
        return torch.stack([pick(-each(hidden), s) for s, each in enumerate(self.maps)], dim=1)

    def rows(self, stream: int) -> Tensor:
        return self.maps[stream].weight


def test_strategies_and_heads_that_break_a_law_are_found(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="unknown layout 'flaten'"):
        decoding_laws(lambda: Planner(Generator("flaten", "linear")))
    with pytest.raises(AssertionError, match="at least one generator"):
        decoding_laws(Planner)
    with pytest.raises(AssertionError, match="sampling and scoring disagree"):
        head_laws(Opposite, tmp_path)


@dataclass
class Doubling:
    """Options that are not what they were given."""

    size: int = option(1, "a number")

    def __post_init__(self) -> None:
        self.size *= 2


@dataclass
class Silent:
    size: int = option(1)


@pytest.mark.parametrize(("options", "law"), [(Doubling, "come back"), (Silent, "has no help")])
def test_options_that_break_a_law_are_found(
    options: type[Any], law: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelved = Shelved("tokenizer", Declaration("x", "a part", "x:X", options), "x", "x", "0")
    monkeypatch.setattr(host(), "find", lambda kind, name: shelved)
    with pytest.raises(AssertionError, match=law):
        options_laws("tokenizer", "x")


class Shouts:
    """A speaker encoder whose vectors are as long as the voice is loud."""

    sample_rate, width = 16000, 1

    def embed(self, wav: Tensor, lengths: Tensor) -> Tensor:
        return wav.abs().mean(dim=1, keepdim=True)


def test_a_speaker_encoder_that_breaks_a_law_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="of length 1"):
        speaker_encoder_laws(Shouts, tmp_path)
