"""`slmkit prepare`: lhotse's recipe over a tiny LibriSpeech, read back by the corpus `manifest`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from slmkit.api import DataError, UnknownNameError
from slmkit.cli.prepare import prepare
from slmkit.data.audio import write_audio
from slmkit.data.manifest import load_manifest
from slmkit.data.public import prepare_corpus
from slmkit.host.build import build

pytest.importorskip("lhotse")


@pytest.fixture
def librispeech(tmp_path: Path) -> Path:
    """Three utterances in the layout in which LibriSpeech is unpacked."""
    root = tmp_path / "LibriSpeech"
    for part, id, seconds, text in (
        ("train-clean-5", "61-70-0000", 0.5, "HELLO THERE"),
        ("train-clean-5", "61-70-0001", 0.25, "YES"),
        ("dev-clean-2", "84-12-0000", 0.75, "GOOD BYE"),
    ):
        speaker, chapter, _ = id.split("-")
        folder = root / part / speaker / chapter
        wav = np.sin(np.arange(int(16000 * seconds)) / 7).astype(np.float32) / 3
        write_audio(folder / f"{id}.flac", wav, 16000)
        with (folder / f"{speaker}-{chapter}.trans.txt").open("a") as lines:
            lines.write(f"{id} {text}\n")
    return root


def test_a_public_corpus_becomes_a_manifest(librispeech: Path, tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(prepare)
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["librispeech", str(librispeech), "-o", str(out)])
    assert result.exit_code == 0, result.output
    assert "utterances: dev 1, train 2" in result.output
    corpus = build("corpus", "manifest", {"manifest": str(out / "librispeech.jsonl.gz")})
    found = list(corpus.utterances(tmp_path, lambda *_: None))
    assert [(u.id, u.split, u.text, u.speaker, u.duration) for u in found] == [
        ("84-12-0000", "dev", "GOOD BYE", "84", 0.75),
        ("61-70-0000", "train", "HELLO THERE", "61", 0.5),
        ("61-70-0001", "train", "YES", "61", 0.25),
    ]
    assert found[0].extra["part"] == "dev-clean-2"


def test_names_and_folders_that_are_wrong(librispeech: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"'librispeach'; did you mean librispeech"):
        prepare_corpus("librispeach", librispeech, tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        prepare_corpus("librispeech", tmp_path / "gone", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="recipe 'librispeech' cannot read it: Could not find"):
        prepare_corpus("librispeech", tmp_path / "empty", tmp_path)
    with pytest.raises(DataError, match="needs transcripts_dir as well"):
        prepare_corpus("broadcast_news", librispeech, tmp_path)


def test_a_corpus_of_recordings_cut_by_its_segments(tmp_path: Path) -> None:
    """LJSpeech's recipe gives recordings and supervisions without parts."""
    root = tmp_path / "LJSpeech-1.1"
    for i in range(2):
        wav = np.full(2205 * (i + 1), 0.1, dtype=np.float32)
        write_audio(root / "wavs" / f"LJ001-000{i}.wav", wav, 22050)
    lines = [f"LJ001-000{i}|Text {i}.|Text {i}." for i in range(2)]
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    prepared = prepare_corpus("ljspeech", root, tmp_path / "out")
    found = load_manifest(prepared.manifest)
    assert [(u.id, u.split, u.text) for u in found] == [
        ("LJ001-0000", "train", "Text 0."),
        ("LJ001-0001", "train", "Text 1."),
    ]
