"""`slmkit compare` and `slmkit report`: what they tell of runs' folders, and what they refuse."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accessibility import faults
from browser import Browser
from torch.utils.tensorboard import SummaryWriter

from slmkit.api import DataError, Result
from slmkit.data.audio import write_audio
from slmkit.data.intervals import bootstrap, paired_difference
from slmkit.recipe.folder import Record
from slmkit.recipe.report import write_comparison, write_report
from slmkit.recipe.report.items import difference, scores_of
from slmkit.recipe.report.run_files import read_run

N = 60
HARD = np.random.default_rng(0).integers(0, 6, N)


def a_run(folder: Path, better: int = 0, seed: int = 0, **recipe: Any) -> Path:
    """The files of a small finished run whose utterances have so many errors fewer."""
    stage = folder / "stages" / "evaluate-0000"
    errors = np.maximum(0, HARD + 1 - better + np.random.default_rng(seed).integers(0, 2, N))
    items = [
        {"id": f"u{i}", "scores": {"wer": [int(e), 10], "sim": [0.5, 1], "original": [1, 2]}}
        for i, e in enumerate(errors)
    ]
    value, low, high = (100 * v for v in bootstrap([float(e) for e in errors], [10.0] * N))
    rows = [
        Result("label/wer", "test", value, low, high, N, "%", "lower"),
        Result("wer/original", "test", 3.0, 1.0, 4.0, N, "%", "lower"),
        Result(f"only-{folder.name}", "test", 1.0, 1.0, 1.0, N),
    ]
    record = Record("evaluate", "evaluate-codec", "done", "0000", {}, results=rows)
    record.write(stage)
    (stage / "items.json").write_text(json.dumps(items))
    time = np.arange(8000) / 16000
    for name, pitch in (("original", 300), ("copy", 400 + 10 * seed)):
        wave = (0.3 * np.sin(2 * np.pi * pitch * time)).astype(np.float32)
        write_audio(stage / f"{name}.flac", wave, 16000)
    blocks = [{
        "type": "sounds", "title": "Copies", "rows": [{
            "title": "u1",
            "texts": {"said": "<b>one</b>", "heard": f"one {folder.name}"},
            "sounds": {"original": "original.flac", "copy": "copy.flac"},
        }],
    }]  # fmt: skip
    (stage / "report.json").write_text(json.dumps(blocks))
    with SummaryWriter(str(stage / "tensorboard")) as writer:
        for step in range(12):
            writer.add_scalar("loss", (3.0 + seed) / (step + 1), step)
        writer.add_scalar("dev_loss", 1.0, 10)
    about = {
        "name": "toy",
        "recipe": {"name": "toy", "stages": {"fit": {"steps": 10, **recipe}}},
        "stages": [
            {"stage": "evaluate", "part": "evaluate-codec", "folder": "stages/evaluate-0000",
             "status": "done", "seconds": 2.0, "peak_memory": 10**9}
        ],
        "seconds": 75.0,
        "started": "2026-01-02T03:04:05+00:00",
        "versions": {"slmkit": "0.1.0"},
        "machine": {"cpu": "a processor"},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(about))
    (folder / "results.json").write_text(json.dumps([asdict(row) for row in rows]))
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A run, one that is better, and one that is as good as the first."""
    folder = tmp_path_factory.mktemp("runs")
    return [
        a_run(folder / "first"),
        a_run(folder / "second", better=1, seed=1, steps=20),
        a_run(folder / "third", seed=2),
    ]


def test_items_are_those_that_make_up_a_row(runs: list[Path]) -> None:
    found = scores_of(read_run(runs[0]))
    # "original" would end the name of wer/original too, but comes to another value
    assert set(found) == {("label/wer", "test")}
    scores = found["label/wer", "test"]
    total = sum(top for top, _ in scores.values()) / sum(bottom for _, bottom in scores.values())
    assert total == pytest.approx(read_run(runs[0]).rows[0]["value"])


def test_a_difference_is_that_of_the_shared_items(runs: list[Path]) -> None:
    ours, theirs = (scores_of(read_run(run))["label/wer", "test"] for run in runs[:2])
    found = difference(theirs, ours)
    assert found is not None
    names = sorted(ours)
    wanted = paired_difference([theirs[n] for n in names], [ours[n] for n in names])
    assert (found.value, found.low, found.high) == pytest.approx(wanted)
    assert found.real
    assert found.value < 0
    some = {name: ours[name] for name in names[:20]}
    fewer = difference(theirs, some)
    assert fewer is not None
    assert fewer.n == 20
    assert difference(theirs, {"stranger": (1.0, 1.0)}) is None


def table_of(page: str, title: str) -> list[list[str]]:
    """The lines of a table by its caption, tags left out."""
    body = re.search(rf'<caption class="unseen">{title}</caption>(.*?)</table>', page, re.DOTALL)
    assert body, title
    rows = re.findall(r"<tr>(.*?)</tr>", body[1], re.DOTALL)
    return [
        [re.sub(r"<[^>]+>", " ", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)]
        for row in rows
    ]


def test_the_page_tells_what_differs(runs: list[Path], tmp_path: Path) -> None:
    page = write_comparison(runs, tmp_path / "page.html").read_text()
    head, *lines = table_of(page, "Results")
    assert [cell.strip() for cell in head] == [
        "metric", "split", "better", "first", "second", "third",
    ]  # fmt: skip
    only = next(line for line in lines if "only-second" in line[0])
    assert [cell.strip() for cell in (only[3], only[5])] == ["–", "–"]
    head, line = table_of(page, "Differences to first")
    assert [cell.strip() for cell in head][2:] == ["second", "third"]
    assert "▼" not in line[2]
    assert "▲" in line[2], "fewer errors are better"
    assert "≈" in line[3]
    assert f"n = {N}" in line[3]
    assert [
        [cell.strip() for cell in row] for row in table_of(page, "What differs in the recipes")
    ][1:] == [["stages.fit.steps", "10", "20", "10"]]
    assert page.count("<svg") == 1
    assert "learning curves of evaluate: first, loss 0.25 at step 11" in page
    # the original is the same in all runs and stands once; copies differ
    labels = re.findall(r'<div class="sound">([^<]*)</div>', page)
    assert labels == ["original", "copy, first", "copy, second", "copy, third"]
    assert page.count("&lt;b&gt;one&lt;/b&gt;") == 1
    assert page.count("<dd>one third</dd>") == 1
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)


def test_runs_of_one_name_are_told_by_their_paths(runs: list[Path], tmp_path: Path) -> None:
    twin = tmp_path / "elsewhere" / "first"
    shutil.copytree(runs[0], twin)
    page = write_comparison([runs[0], twin], tmp_path / "page.html").read_text()
    assert str(twin) in page
    assert "Nothing." in page, "the recipes are the same"


@pytest.mark.browser
def test_everybody_can_use_it(runs: list[Path], chromium: str, tmp_path: Path) -> None:
    page = write_comparison(runs, tmp_path / "page.html")
    with Browser(chromium, tmp_path / "profile") as tab:
        assert faults(tab, page) == []


def test_what_is_no_run_is_told_in_a_line(runs: list[Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    for folders in ([], [runs[0]], [runs[0], runs[0]], [runs[0], runs[0] / ".." / "first"]):
        with pytest.raises(DataError, match="two or more"):
            write_comparison(folders, page)
    with pytest.raises(DataError, match=r"run\.json: no such file"):
        write_comparison([runs[0], tmp_path], page)
    broken = tmp_path / "broken"
    shutil.copytree(runs[0], broken)
    for text, complaint in (
        ("{}", "'name' is missing"), ("[]", "a mapping is due"), ("{", "not JSON"),
    ):  # fmt: skip
        (broken / "run.json").write_text(text)
        with pytest.raises(DataError, match=complaint) as caught:
            write_report(broken)
        assert "\n" not in str(caught.value)
    shutil.copy(runs[0] / "run.json", broken)
    for text, complaint in (("{}", "a list is due"), ('[{"metric": "x"}]', "'split' is missing")):
        (broken / "results.json").write_text(text)
        with pytest.raises(DataError, match=complaint):
            write_report(broken)
    assert not page.exists()


def test_the_commands(
    command: Callable[..., subprocess.CompletedProcess[str]], runs: list[Path], tmp_path: Path
) -> None:
    done = command("compare", *runs[:2], "-o", "page.html")
    assert (done.returncode, done.stdout.strip()) == (0, "page.html")
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    done = command("report", runs[0])
    assert done.stdout.strip() == str(runs[0] / "report.html")
    assert (runs[0] / "report.html").exists()
    done = command("compare", runs[0])
    assert done.returncode == 2
    assert "two or more" in done.stderr
