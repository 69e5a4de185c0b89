"""`slmkit export`: a trained part as a folder to be shared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from slmkit.api import DataError, UnknownNameError
from slmkit.codecs.lean import lean, restore_lean
from slmkit.host import build, load_part, save_part
from slmkit.recipe.export import export
from slmkit.recipe.saved import SavedRun, load

SMALL = {"filters": 4, "width": 16, "entries": 16, "lstm_layers": 0}


@pytest.fixture
def run(tmp_path: Path) -> SavedRun:
    """The folder of a run whose only stage left a small codec."""
    part = build("tokenizer", "speechtokenizer", SMALL)
    stage = tmp_path / "run" / "stages" / "codec-1"
    save_part(part, stage / "tokenizer", part.origin.shelved, part.origin.options, {})
    record = {
        "recipe_file": "recipes/speechtokenizer.yaml",
        "profile": "mini",
        "recipe": {"seed": 3, "parts": {}},
        "stages": [{"stage": "codec", "status": "done", "folder": "stages/codec-1"}],
        "seconds": 600.0,
        "machine": {"cpu": "a processor", "cores": 2, "gpus": []},
        "versions": {"slmkit": "0.1.0", "torch": "2"},
    }
    row = {"metric": "stoi", "split": "test", "value": 0.8, "low": 0.7, "high": 0.9, "n": 10,
           "unit": "", "direction": "higher"}  # fmt: skip
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    (tmp_path / "run" / "results.json").write_text(json.dumps([row]))
    return load(tmp_path / "run")


def test_an_exported_codec_is_small_and_codes_as_its_rounded_weights_do(
    run: SavedRun, tmp_path: Path
) -> None:
    whole = run.part("tokenizer")
    size = export(run, "tokenizer", tmp_path / "out", "Trained on noise, CC0-1.0.")
    assert size == sum(f.stat().st_size for f in (tmp_path / "out").iterdir())
    stored = load_file(tmp_path / "out" / "weights.safetensors")
    assert {t.dtype for t in stored.values()} == {torch.half}
    assert not any(name.endswith(("sums", "counts", "ready")) for name in stored)
    found = load_part(tmp_path / "out")
    for tensor in whole.parameters():
        tensor.copy_(tensor.half())
    whole.codec.quantizer.entries.copy_(whole.codec.quantizer.entries.half())
    wav, lengths = torch.randn(2, 8000) / 10, torch.tensor([8000, 5000])
    codes = found.encode(wav, lengths)
    assert torch.equal(codes.values, whole.encode(wav, lengths).values)
    assert torch.equal(found.decode(codes)[0], whole.decode(codes)[0])
    assert all(p.dtype == torch.float32 for p in found.parameters())


def test_its_card_says_whence_it_comes(run: SavedRun, tmp_path: Path) -> None:
    export(run, "tokenizer", tmp_path / "out", "Trained on noise, CC0-1.0.")
    card = (tmp_path / "out" / "README.md").read_text()
    for words in (
        "# speechtokenizer, trained by `recipes/speechtokenizer.yaml`",
        "Trained on noise, CC0-1.0.",
        "profile `mini`, slot `tokenizer`, seed 3",
        "10 minutes on a processor, 2 cores, no GPU",
        "| stoi | test | 0.8  | 0.7 to 0.9 | 10 |",
        "- `entries`: 16",
    ):
        assert words in card


def test_what_is_not_there_and_what_is_in_the_way_is_refused(run: SavedRun, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="vocoder"):
        export(run, "vocoder", tmp_path / "out", "")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="not empty"):
        export(run, "tokenizer", tmp_path / "full", "")
    assert [f.name for f in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_what_half_precision_cannot_hold_stays_whole() -> None:
    state = {"a": torch.tensor([1.0, 1e6]), "b": torch.tensor([3]), "c": torch.tensor([0.1])}
    kept = lean(state)
    assert torch.equal(kept["a"], state["a"])
    assert kept["b"].dtype == torch.int64
    assert kept["c"].dtype == torch.half


def test_a_lean_codec_learns_on_from_its_entries(run: SavedRun, tmp_path: Path) -> None:
    export(run, "tokenizer", tmp_path / "out", "")
    again = build("tokenizer", "speechtokenizer", {**SMALL, "seed": 9})
    restore_lean(again, tmp_path / "out")
    quantizer = again.codec.quantizer
    assert torch.equal(quantizer.sums, quantizer.entries)
    assert bool((quantizer.counts == 1).all())
    assert bool(quantizer.ready.all())
