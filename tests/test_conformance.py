"""Every built-in part keeps the laws of its kind; and the laws find those who break them."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import torch
from torch import Tensor, nn
from toy_codec import StairsOptions
from toy_stairs import Stairs

from slmkit.api import (
    Backbone,
    Codes,
    CodeSpec,
    Corpus,
    Declaration,
    Decoding,
    Generator,
    Head,
    MisfitError,
    Progress,
    TextTokenizer,
    Tokenizer,
    Utterance,
    option,
)
from slmkit.codecs.waves import check_waves
from slmkit.data.audio import write_audio
from slmkit.host import Shelved, host
from slmkit.testing import (
    Tally,
    backbone_laws,
    check_part,
    check_tokenizer,
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


def speechtokenizer(folder: Path) -> str:
    """A small SpeechTokenizer's config."""
    config = {"n_filters": 8, "dimension": 32, "strides": [8, 5, 4, 2], "lstm_layers": 2,
              "bidirectional": True, "dilation_base": 2, "residual_kernel_size": 3,
              "n_residual_layers": 1, "activation": "ELU", "sample_rate": 16000, "n_q": 8,
              "codebook_size": 64}  # fmt: skip
    (folder / "speechtokenizer.json").write_text(json.dumps(config))
    return str(folder / "speechtokenizer.json")


QUESTIONS = {"questions": 12, "dev": 6, "test": 6, "words": 8}
VALUES: dict[tuple[str, str], Callable[[Path], dict[str, Any]]] = {
    ("corpus", "manifest"): lambda f: {"manifest": digits(f / "digits")},
    ("corpus", "folder"): lambda f: {"path": str(Path(digits(f / "digits")).parent)},
    ("corpus", "spoken-digits"): lambda f: {"manifest": digits(f / "digits"), **QUESTIONS},
    ("corpus", "spoken-qa"): lambda f: {**QUESTIONS, "voices": 2},
    ("corpus", "union"): lambda f: {
        "one": {"part": "manifest", "manifest": digits(f / "digits")},
        "other": {"part": "spoken-qa", **QUESTIONS, "voices": 2},
    },
    ("tokenizer", "mel-rvq"): lambda _: {"codebooks": 4, "clusters": 32},
    ("tokenizer", "hubert-km"): lambda f: {
        "model": str(tiny_models.hubert(f / "hubert")), "layer": 2, "clusters": 12,
    },
    ("tokenizer", "speechtokenizer"): lambda f: {"config": speechtokenizer(f)},
    ("tokenizer", "mimi"): lambda f: {"weights": str(tiny_models.mimi(f / "mimi"))},
    ("tokenizer", "dac"): lambda f: {"weights": str(tiny_models.dac(f / "dac")), "codebooks": 2},
    ("tokenizer", "xcodec"): lambda f: {"weights": str(tiny_models.xcodec(f / "xcodec"))},
    ("tokenizer", "unit-bpe"): lambda f: {"inner": {"part": "mel-km", "clusters": 16}, "size": 40},
    ("tokenizer", "hierarchy"): lambda _: {
        "semantic": {"part": "mel-km", "clusters": 16},
        "acoustic": {"part": "mel-rvq", "codebooks": 2, "clusters": 16},
    },
    ("tokenizer", "speechtokenizer-reference"): lambda f: {
        "config": str(tiny_models.speechtokenizer(f / "config.json")),
    },
    ("stage", "compare-probes"): lambda _: {"first": "one", "second": "other"},
    ("stage", "load-uslm"): lambda _: {"weights": "USLM.pt", "symbols": "names.k2symbols"},
    ("stage", "compare-tts"): lambda _: {"said": ["one", "other"]},
    ("stage", "listening-form"): lambda _: {"said": ["one"]},
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
        check_waves(wav, lengths)
        rows = zip(wav, lengths.tolist(), strict=True)
        return Codes.pad([self.code(row[:length])[None] for row, length in rows], self.spec)

    def code(self, wav: Tensor) -> Tensor:
        frames = nn.functional.pad(wav, (0, -len(wav) % 320)).view(-1, 320)
        return (frames.abs().amax(dim=1) / self.loudest * 8).long().clamp(max=7)

    def decode(self, codes: Codes) -> tuple[Tensor, Tensor]:
        if codes.spec != self.spec or codes.values.max() > 7:
            raise MisfitError("no codes of mine")
        return self.speak(codes)

    def speak(self, codes: Codes) -> tuple[Tensor, Tensor]:
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


class Merges(Levels):
    """Merges equal neighbours; `keep` says what becomes of their durations."""

    spec = replace(Levels.spec, deduplicated=True)

    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        plain = replace(super().encode(wav, lengths), spec=Levels.spec)
        return self.keep(plain.deduplicate())

    def keep(self, codes: Codes) -> Codes:
        return codes

    def speak(self, codes: Codes) -> tuple[Tensor, Tensor]:
        return super().speak(codes.expand())


class LosesTime(Merges):
    def keep(self, codes: Codes) -> Codes:
        return replace(codes, durations=None)


class ShortensTime(Merges):
    def keep(self, codes: Codes) -> Codes:
        return replace(codes, durations=codes.durations.clamp(max=1))


class Overflows(Levels):
    def code(self, wav: Tensor) -> Tensor:
        return super().code(wav) + 8


class Forgets(Levels):
    def restore(self, folder: Path) -> None:
        """Nothing."""


class Dreams(Levels):
    def code(self, wav: Tensor) -> Tensor:
        return torch.randint(8, super().code(wav).shape)


class TakesAnyRank(Levels):
    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        return super().encode(wav if wav.dim() == 2 else wav[None], lengths)


class DecodesAnything(Levels):
    def decode(self, codes: Codes) -> tuple[Tensor, Tensor]:
        values = codes.values[:, :1].clamp(max=7)
        return super().decode(Codes(values, codes.lengths, self.spec))


class CutsLongSounds(Levels):
    def encode_long(self, blocks: Iterable[Tensor]) -> Iterator[Codes]:
        yield from itertools.islice(super().encode_long(itertools.islice(blocks, 2)), 1)


class Swallows(Levels):
    def encode(self, wav: Tensor, lengths: Tensor) -> Codes:
        return super().encode(torch.nan_to_num(wav), lengths)


class Stretches(Levels):
    def decode(self, codes: Codes) -> tuple[Tensor, Tensor]:
        wav, lengths = super().decode(codes)
        return nn.functional.pad(wav, (0, 999)), lengths + 999


@pytest.mark.parametrize("sound", [Levels, Merges])
def test_a_sound_tokenizer_passes(sound: type[Levels], tmp_path: Path) -> None:
    tokenizer_laws(sound, tmp_path)


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (HearsPadding, "padding must not count"),
        (LeavesPadding, "beyond a row's length stand zeros"),
        (Drifts, "the declared rate is 50 Hz"),
        (LosesTime, "merged codes need durations"),
        (ShortensTime, "the declared rate is 50 Hz"),
        (Overflows, "codes lie in their codebook"),
        (Forgets, "saved and restored"),
        (Dreams, "the same sound gives the same codes"),
        (Swallows, "must raise AudioError"),
        (Stretches, "became"),
        (TakesAnyRank, "another rank must raise AudioError"),
        (DecodesAnything, "codes out of range must raise"),
        (CutsLongSounds, "a long sound in blocks has 1[67] frames"),
    ],
)
def test_a_tokenizer_that_breaks_a_law_is_found(
    broken: type[Levels], law: str, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=law):
        tokenizer_laws(broken, tmp_path)


class Walks(Stairs):
    """A sound tokenizer that streams and has several codebooks."""

    def __init__(self) -> None:
        super().__init__(StairsOptions(codebooks=2))


class HidesItsChunks(Walks):
    rest = torch.zeros(4, 0)

    def empty_state(self, batch: int) -> dict[str, Any]:
        self.rest = torch.zeros(batch, 0)
        return {}

    def step(self, chunk: Tensor, state: dict[str, Any]) -> tuple[Codes, dict[str, Any]]:
        codes, after = super().step(chunk, {"rest": self.rest})
        self.rest = after["rest"]
        return codes, state

    def finish(self, state: dict[str, Any]) -> Codes:
        return super().finish({"rest": self.rest})


class DropsTheEnd(Walks):
    def finish(self, state: dict[str, Any]) -> Codes:
        return super().finish({"rest": state["rest"][:, :0]})


class FillsUpChunks(Walks):
    def step(self, chunk: Tensor, state: dict[str, Any]) -> tuple[Codes, dict[str, Any]]:
        return self._all(self._round(chunk)), state


def test_a_tokenizer_that_streams_passes_and_is_accounted_for(tmp_path: Path) -> None:
    found = check_tokenizer(Walks)
    assert found.streams
    assert found.frames > 1000
    assert found.differing == 0
    assert found.batch_speed > 0
    assert str(found).startswith(f"streaming, 0 of {found.frames} frames differ, eight in a batch")
    assert not check_tokenizer(Levels(), tmp_path).streams, "as it stands, without a function"


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (HidesItsChunks, "from the same state again"),
        (DropsTheEnd, "any chunks: "),
        (FillsUpChunks, "any chunks: "),
    ],
)
def test_a_tokenizer_that_streams_wrongly_is_found(broken: type[Walks], law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_tokenizer(broken)


def test_near_ties_are_counted_and_few() -> None:
    spec = CodeSpec(16000, 320, (8, 8))
    zeros = Codes(torch.zeros(1, 2, 20000).long(), torch.tensor([20000]), spec)
    other = replace(zeros, values=zeros.values.clone())
    other.values[0, :, 7], other.values[0, 1, 9] = 1, 1
    tally = Tally()
    tally.compare(other, zeros, "a law")
    assert (tally.frames, tally.differing) == (20000, 2)
    other.values[0, 0, 11] = 1
    with pytest.raises(AssertionError, match="a law: 5 of 40000 frames compared up to now differ"):
        tally.compare(other, zeros, "a law")


PLUGIN_TEST = """
from toy_codec import StairsOptions
from toy_stairs import Stairs

def test_it(slmkit_check_tokenizer):
    assert slmkit_check_tokenizer(lambda: Stairs(StairsOptions())).streams

def test_a_part(slmkit_check_part):
    slmkit_check_part("tokenizer", "stairs", {"codebooks": 2})
"""


def test_strangers_get_the_laws_as_fixtures(
    stairs_environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "test_mine.py").write_text(PLUGIN_TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"],
        cwd=tmp_path,
        env=stairs_environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
    assert "test_mine.py::test_it: streaming, 0 of " in done.stdout


def test_pytest_starts_without_torch() -> None:
    code = "import sys, slmkit.pytest_plugin; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


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


class RunsOn(Mean):
    """Takes the positions of packed examples, and lets them see each other."""

    def forward(self, embedded: Tensor, positions: Tensor | None = None) -> Tensor:
        return super().forward(embedded)


class Packs(Mean):
    def forward(self, embedded: Tensor, positions: Tensor | None = None) -> Tensor:
        if positions is None:
            return super().forward(embedded)
        parts = embedded.split([*(positions[0] == 0).nonzero()[:, 0].diff().tolist(), 9], dim=1)
        return torch.cat([super(Packs, self).forward(part) for part in parts], dim=1)


class WillNotPack(Mean):
    def forward(self, embedded: Tensor, positions: Tensor | None = None) -> Tensor:
        if positions is not None:
            raise MisfitError("one example a row")
        return super().forward(embedded)


@pytest.mark.parametrize("sound", [Mean, Packs, WillNotPack])
def test_a_sound_backbone_passes(sound: type[Mean], tmp_path: Path) -> None:
    backbone_laws(sound, tmp_path)


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (SeesTheFuture, "must not see what comes after"),
        (CountsPadding, "stepwise differs"),
        (HidesItsState, "not its own"),
        (IsDeaf, "a step sees itself"),
        (RunsOn, "packed in one row see each other"),
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
