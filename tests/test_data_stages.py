"""The stages prepare, fit, tokenize and train-vocoder, run by the engine on a small corpus."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import slmkit
from slmkit.api import DataError, SlmkitError, StageError
from slmkit.data.audio import write_audio
from slmkit.data.manifest import load_manifest
from slmkit.data.store import TokenStore
from slmkit.host import load_part

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
    from slmkit.recipe.report.figures import curves_of

    loss = [value for _, value in curves_of(run.paths["vocoder"])["loss"]]
    assert np.mean(loss[-5:]) < 0.8 * np.mean(loss[:5]), "the loss falls"
    vocoder = load_part(run.paths["vocoder"] / "vocoder")
    names = set(vocoder.state_dict())
    assert not any("parametrizations" in name for name in names)
    assert (
        "adversaries" in curves_of(run.paths["adversarial"])
        or (run.paths["adversarial"] / "vocoder" / "weights.safetensors").exists()
    )
