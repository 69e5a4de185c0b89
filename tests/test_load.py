"""`slmkit.load`: a run, a part by name, a saved part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import slmkit
from slmkit.api import CodeSpec, DataError, OptionsError, UnknownNameError
from slmkit.host import save_part
from slmkit.testing.tokenizers import sounds


def fitted(**options: int):
    part = slmkit.load("tokenizer", "mel-km", **options)
    part.fit([sounds(16000)])
    return part


def save(part, folder: Path) -> Path:
    save_part(part, folder, part.origin.shelved, part.origin.options, part.origin.given)
    return folder


def test_a_part_by_name_takes_its_options_as_keywords() -> None:
    part = slmkit.load("tokenizer", "mel-km", clusters=7)
    assert part.spec.codebook_sizes == (7,)
    spec = CodeSpec(16000, 320, (7,))
    assert slmkit.load("vocoder", "griffin-lim", spec=spec, rounds=3).options.rounds == 3
    with pytest.raises(UnknownNameError, match="did you mean mel-km"):
        slmkit.load("tokenizer", "mel-kn")
    with pytest.raises(OptionsError, match="did you mean 'clusters'"):
        slmkit.load("tokenizer", "mel-km", cluster=7)
    with pytest.raises(UnknownNameError, match="did you mean tokenizer"):
        slmkit.load("tokeniser", "mel-km")


def test_a_saved_part_comes_from_its_folder(tmp_path: Path) -> None:
    part = fitted(clusters=9)
    folder = save(part, tmp_path / "saved")
    again = slmkit.load("tokenizer", folder)
    assert torch.equal(again.encode(*sounds(16000)).values, part.encode(*sounds(16000)).values)
    with pytest.raises(TypeError, match="was saved with its options: clusters"):
        slmkit.load("tokenizer", folder, clusters=3)
    with pytest.raises(DataError, match="holds a tokenizer, not a vocoder"):
        slmkit.load("vocoder", folder)
    with pytest.raises(DataError, match="neither the folder of a run nor of a saved tokenizer"):
        slmkit.load("tokenizer", tmp_path)


def a_run(folder: Path, recipe: dict, *stages: str) -> Path:
    """The folder of a run whose stages are done."""
    done = [{"stage": s, "status": "done", "folder": f"stages/{s}"} for s in stages]
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"recipe": recipe, "stages": done}))
    (folder / "results.json").write_text("[]")
    for stage in stages:
        (folder / "stages" / stage).mkdir(parents=True)
    return folder


def test_a_runs_part_is_the_fitted_one_or_else_the_recipes(tmp_path: Path) -> None:
    recipe = {"parts": {"tokenizer": {"part": "mel-km", "clusters": 11}}}
    run = a_run(tmp_path / "run", recipe, "fit", "later")
    assert slmkit.load(run).recipe == recipe
    assert slmkit.load("tokenizer", run).spec.codebook_sizes == (11,)
    save(fitted(clusters=5), run / "stages" / "fit" / "tokenizer")
    save(fitted(clusters=6), run / "stages" / "later" / "tokenizer")
    assert slmkit.load("tokenizer", run).spec.codebook_sizes == (6,)
    with pytest.raises(DataError, match="the recipe of this run has no vocoder"):
        slmkit.load("vocoder", run)


def test_the_front_page_names_what_there_is() -> None:
    for shown in ('slmkit.load("tokenizer"', "tokenizer.encode(wav, lengths)", "tokenizer.step("):
        assert shown in (slmkit.__doc__ or "")
