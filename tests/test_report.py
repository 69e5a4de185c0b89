"""The report: what it tells, what it escapes, and whether a browser opens it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from accessibility import faults
from browser import Browser, dumped
from torch.utils.tensorboard import SummaryWriter

from slmkit.api import DataError
from slmkit.data.audio import write_audio
from slmkit.recipe.report import write_report

HOSTILE = "<script>document.title = 'taken'</script>&\"'"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The files of a small finished run."""
    stage = tmp_path / "stages" / "evaluate-00000000"
    stage.mkdir(parents=True)
    time = np.arange(16000) / 16000
    write_audio(stage / "a.flac", (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32), 16000)
    blocks = [
        {
            "type": "sounds",
            "title": "Sounds",
            "note": "heard",
            "rows": [
                {
                    "title": "q1",
                    "texts": {"asked": HOSTILE, "understood": None},
                    "sounds": {"question": "a.flac"},
                    "spectrogram": "question",
                }
            ],
        },
        {"type": "table", "title": "Table", "columns": ["x", "y"], "rows": [[1, HOSTILE]]},
    ]
    (stage / "report.json").write_text(json.dumps(blocks))
    with SummaryWriter(str(stage / "tensorboard")) as writer:
        for step in range(20):
            writer.add_scalar("loss", 3.0 / (step + 1), step)
        writer.add_scalar("dev_loss", 1.0, 10)
    about = {
        "name": "toy",
        "status": "done",
        "profile": None,
        "recipe": {"name": "toy", "summary": HOSTILE},
        "stages": [
            {
                "stage": "evaluate",
                "part": "speechgpt-evaluate",
                "folder": "stages/evaluate-00000000",
                "status": "done",
                "seconds": 75.0,
                "peak_memory": 1_500_000_000,
            }
        ],
        "seconds": 75.0,
        "started": "2026-01-02T03:04:05+00:00",
        "versions": {"torch": torch.__version__},
        "machine": {"cpu": "a processor", "gpus": []},
    }
    row = {"split": "test", "low": 1.5, "high": 4.25, "n": 300, "unit": "%", "direction": "lower"}
    rows = [
        {**row, "metric": "wer/speech", "value": 2.75},
        {**row, "metric": "wer/speech/sums", "value": 3.25, "split": "test-voice"},
    ]
    (tmp_path / "run.json").write_text(json.dumps(about))
    (tmp_path / "results.json").write_text(json.dumps(rows))
    return tmp_path


def test_the_page_tells_the_run_and_needs_no_other_file(run: Path) -> None:
    page = write_report(run).read_text()
    for said in ("2.75 %", "1.50 to 4.25, n = 300", "3.25 %", "1 min 15 s", "1.50 GB", "toy"):
        assert said in page, said
    assert re.search(r'class=part><th scope="row">sums', page)
    assert "<svg" in page
    assert "data:audio/ogg" in page
    linked = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(link.startswith(("data:", "#")) for link in linked)
    assert not re.search(r'src="http|url\(http|@import', page)


def test_hostile_text_stays_text(run: Path) -> None:
    page = write_report(run).read_text()
    assert "<script>document" not in page
    assert page.count("&lt;script&gt;") >= 3


def test_a_block_of_no_known_kind_is_named(run: Path) -> None:
    (run / "stages" / "evaluate-00000000" / "report.json").write_text('[{"type": "poem"}]')
    with pytest.raises(DataError, match="poem"):
        write_report(run)


@pytest.mark.browser
def test_a_browser_opens_it_and_decodes_its_sounds(
    run: Path, chromium: str, tmp_path: Path
) -> None:
    page = write_report(run)
    probe = """<script>
        const body = document.body.dataset, sounds = [...document.querySelectorAll("audio")];
        const told = () => { body.sounds = sounds.map(s => s.duration.toFixed(2)).join(","); };
        sounds.forEach(s => { s.preload = "auto"; s.onloadedmetadata = told; s.load(); });
        body.rows = document.querySelectorAll("#results tbody tr").length;
        body.wide = document.documentElement.scrollWidth <= innerWidth;
    </script></body>"""
    copy = tmp_path / "copy.html"
    copy.write_text(page.read_text().replace("</body>", probe))
    seen = dumped(chromium, copy, tmp_path / "profile")
    assert re.search(r'data-sounds="1\.0\d"', seen), seen[-600:]
    assert 'data-rows="2"' in seen
    assert 'data-wide="true"' in seen, "nothing is cut off on a narrow screen"
    assert "<title>toy · slmkit</title>" in seen


@pytest.mark.browser
def test_everybody_can_use_it(run: Path, chromium: str, tmp_path: Path) -> None:
    page = write_report(run)
    with Browser(chromium, tmp_path / "profile") as tab:
        assert faults(tab, page) == []
    assert 'aria-label="learning curve of evaluate: loss from 3 at step 0' in page.read_text()
