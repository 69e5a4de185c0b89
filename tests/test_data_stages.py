"""The stages prepare, fit, tokenize and train-vocoder, run by the engine on a small corpus."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from slmkit_stages.compare import long_enough
from slmkit_stages.plugin import TokenizeOptions
from slmkit_stages.tokenize import tokenize

import slmkit
from slmkit.api import AudioError, Codes, CodeSpec, DataError, SlmkitError, StageError
from slmkit.data.audio import write_audio
from slmkit.data.manifest import load_manifest, write_manifest
from slmkit.data.store import TokenStore
from slmkit.host import build, load_part

SMALL_VOCODER = {
    "part": "unit-hifigan",
    "embedding_dim": 8,
    "upsample_rates": [8, 5, 8],
    "upsample_kernel_sizes": [16, 11, 16],
    "upsample_initial_channel": 16,
    "resblock_kernel_sizes": [3],
}


def recipe(folder: Path, corpus: dict[str, object], **stages: object) -> Path:
    """A recipe of the first stages over a corpus."""
    values = {
        "name": "toy",
        "parts": {
            "corpus": corpus,
            "tokenizer": {"part": "mel-km", "clusters": 16},
            "vocoder": SMALL_VOCODER,
        },
        "stages": {
            "prepare": {"stage": "prepare"},
            "fit": {"stage": "fit"},
            "tokenize": {"stage": "tokenize", **stages.pop("tokenize", {})},
            **stages,
        },
    }
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def recorded(folder: Path, count: int = 8) -> Path:
    """A manifest of short recorded sounds, in two splits."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(count):
        length = 4000 + 700 * index
        tone = np.sin(2 * np.pi * (150 + 40 * index) * np.arange(length) / 16000)
        wav = (0.2 * tone + 0.02 * rng.normal(size=length)).astype(np.float32)
        write_audio(folder / f"{index}.flac", wav, 16000)
        split = "train" if index < count - 2 else "test"
        rows.append({"id": f"u{index}", "audio": f"{index}.flac", "text": "a b", "split": split,
                     "speaker": "s", "role": "answer"})  # fmt: skip
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    return folder / "manifest.jsonl"


def test_every_utterance_is_coded_as_it_is_alone(tmp_path: Path) -> None:
    manifest = recorded(tmp_path)
    path = recipe(tmp_path, {"part": "manifest", "manifest": str(manifest)})
    run = slmkit.run(path, output=tmp_path / "run")
    store = TokenStore.open(run.paths["tokenize"] / "codes")
    utterances = load_manifest(run.paths["prepare"] / "manifest" / "manifest.jsonl")
    assert store.ids() == {u.id for u in utterances} == {f"u{i}" for i in range(8)}
    tokenizer = load_part(run.paths["fit"] / "tokenizer")
    from slmkit.data.audio import read_utterance

    for utterance in utterances:
        wav = torch.from_numpy(read_utterance(utterance))[None]
        alone = tokenizer.encode(wav, torch.tensor([wav.shape[1]])).deduplicate()
        row = store.row(utterance.id)
        assert row.codes.tolist() == alone.values[0].tolist()
        assert row.durations is not None
        assert row.durations.tolist() == alone.durations[0].tolist()
        assert row.durations.sum() == -(-wav.shape[1] // 320)


def test_a_broken_file_is_named_and_stops_or_is_left_out(tmp_path: Path) -> None:
    manifest = recorded(tmp_path)
    broken = tmp_path / "3.flac"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    corpus = {"part": "manifest", "manifest": str(manifest)}
    fit = {"fit": {"stage": "fit", "utterances": 2, "seed": 1}}
    with pytest.raises(SlmkitError, match=r"3\.flac"):
        slmkit.run(recipe(tmp_path, corpus, **fit), output=tmp_path / "stop")
    path = recipe(tmp_path, {**corpus, "on_error": "skip"}, **fit)
    run = slmkit.run(path, output=tmp_path / "skip")
    ids = TokenStore.open(run.paths["tokenize"] / "codes").ids()
    assert ids == {f"u{i}" for i in range(8) if i != 3}


def test_an_empty_manifest_stops_with_a_line(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text("")
    path = recipe(tmp_path, {"part": "manifest", "manifest": str(tmp_path / "manifest.jsonl")})
    with pytest.raises((DataError, StageError), match=r"manifest\.jsonl"):
        slmkit.run(path, output=tmp_path / "run")


class Bench:
    """A stage's context without an engine: a manifest above, one part, a folder."""

    def __init__(self, folder: Path, manifest: Path, part: object) -> None:
        (folder / "manifest").mkdir(parents=True, exist_ok=True)
        write_manifest(folder / "manifest" / "manifest.jsonl", load_manifest(manifest))
        self.folder, self.tokenizer, self.said = folder, part, []
        self.say = self.said.append

    def part(self, slot: str, spec: object = None) -> object:
        return self.tokenizer

    def find(self, slot: str) -> None:
        return None

    def read(self, name: str) -> Path:
        return self.folder / name

    @contextmanager
    def progress(self, text: str, total: int | None = None):
        yield lambda done, total=None, text="": None


class Choosy:
    """Refuses a batch with any wave shorter than a third of a second."""

    spec = CodeSpec(16000, 320, (8,))

    def encode(self, wav: torch.Tensor, lengths: torch.Tensor) -> Codes:
        if int(lengths.min()) < 16000 // 3:
            raise AudioError("too short")
        return Codes.pad(
            [torch.zeros(1, int(n) // 320, dtype=torch.int64) for n in lengths], self.spec
        )


def test_only_what_the_tokenizer_refuses_is_left_out_and_named(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "stage", recorded(tmp_path), Choosy())
    tokenize(TokenizeOptions(on_error="skip"), bench)
    ids = TokenStore.open(bench.folder / "codes").ids()
    assert ids == {f"u{i}" for i in range(2, 8)}
    assert bench.said == [
        "left out 'u0': too short",
        "left out 'u1': too short",
        "2 of 8 utterances were left out",
    ]
    with pytest.raises(AudioError, match="utterance 'u0': too short"):
        tokenize(TokenizeOptions(), bench)


def test_what_is_coded_stays_when_a_later_sound_is_broken_and_is_not_coded_again(
    tmp_path: Path,
) -> None:
    manifest = recorded(tmp_path)
    bench = Bench(tmp_path / "stage", manifest, tokenizer := Counting())
    whole = (tmp_path / "5.flac").read_bytes()
    (tmp_path / "5.flac").write_bytes(whole[:200])
    with pytest.raises(AudioError, match=r"'u5'.*5\.flac"):
        tokenize(TokenizeOptions(batch_seconds=0.5), bench)
    before = TokenStore.open(bench.folder / "codes").ids()
    assert {"u0", "u1", "u2", "u3", "u4"} <= before
    tokenize(TokenizeOptions(on_error="skip"), bench)
    tokenize(TokenizeOptions(on_error="skip"), bench)
    assert TokenStore.open(bench.folder / "codes").ids() == {f"u{i}" for i in range(8) if i != 5}
    (tmp_path / "5.flac").write_bytes(whole)
    tokenize(TokenizeOptions(), bench)
    assert len(TokenStore.open(bench.folder / "codes")) == tokenizer.rows == 8


class Counting(Choosy):
    rows = 0

    def encode(self, wav: torch.Tensor, lengths: torch.Tensor) -> Codes:
        self.rows += len(wav)
        return Codes.pad(
            [torch.ones(1, int(n) // 320, dtype=torch.int64) for n in lengths], self.spec
        )


def test_sound_that_utterances_share_is_coded_once(tmp_path: Path) -> None:
    manifest = recorded(tmp_path, 4)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    again = [{**row, "id": f"again-{row['id']}"} for row in rows]
    manifest.write_text("\n".join(map(json.dumps, rows + again)) + "\n")
    tokenize(TokenizeOptions(), bench := Bench(tmp_path / "stage", manifest, Counting()))
    assert len(TokenStore.open(bench.folder / "codes")) == 8
    assert bench.tokenizer.rows == 4


def test_nothing_that_can_be_coded_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no utterance could be coded"):
        tokenize(
            TokenizeOptions(on_error="skip"),
            Bench(tmp_path / "stage", recorded(tmp_path, 2), Choosy()),
        )
    with pytest.raises(SlmkitError, match=r"on_error.*did you mean skip"):
        tokenize(TokenizeOptions(on_error="skp"), Bench(tmp_path, tmp_path / "manifest.jsonl", 0))


@pytest.mark.slow
def test_a_vocoder_learns_and_is_kept(tmp_path: Path) -> None:
    manifest = recorded(tmp_path)
    training = {"stage": "train-vocoder", "steps": 30, "batch": 4, "frames": 8, "lr": 5e-3}
    path = recipe(
        tmp_path,
        {"part": "manifest", "manifest": str(manifest)},
        tokenize={"deduplicate": True},
        vocoder={**training, "needs": ["tokenize"]},
        adversarial={**training, "needs": ["tokenize"], "steps": 2, "adversarial": 1.0},
    )
    run = slmkit.run(path, output=tmp_path / "run")
    from slmkit.training.curves import curves_of

    loss = [value for _, value in curves_of(run.paths["vocoder"])["loss"]]
    assert np.mean(loss[-5:]) < 0.8 * np.mean(loss[:5]), "the loss falls"
    vocoder = load_part(run.paths["vocoder"] / "vocoder")
    names = set(vocoder.state_dict())
    assert not any("parametrizations" in name for name in names)
    assert (
        "adversaries" in curves_of(run.paths["adversarial"])
        or (run.paths["adversarial"] / "vocoder" / "weights.safetensors").exists()
    )


def test_copies_too_short_for_a_metric_are_counted_and_faulty_ones_are_not() -> None:
    said: list[str] = []
    context = SimpleNamespace(say=said.append)
    rng = np.random.default_rng(0)
    short, long = (rng.normal(size=n).astype(np.float32) * 0.1 for n in (3000, 24000))
    faulty = np.full_like(long, np.nan)
    stoi = build("metric", "stoi")
    fit = long_enough(stoi, [(short, short), (long, long), (faulty, long)], "stoi/x", context)
    assert len(fit) == 2
    assert said == ["stoi/x: 1 of 3 are too short to be measured"]
    with pytest.raises(DataError, match="not finite"):
        stoi.score(*fit[1])
