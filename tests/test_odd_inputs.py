"""Awkward and broken files: each is read, or refused in one line that names it."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from slmkit.api import AudioError, DataError
from slmkit.data.audio import is_silent, probe, read_audio
from slmkit.host.build import build

pytestmark = pytest.mark.speech


@pytest.fixture(scope="session")
def odd_inputs(speech: Path) -> Path:
    return speech / "odd_inputs"


def listed(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").open()]


def test_every_file_does_what_it_should(odd_inputs: Path) -> None:
    rows = listed(odd_inputs)
    assert {row["expect"] for row in rows} == {"ok", "error", "empty"}
    for row in rows:
        path = odd_inputs / row["audio"]
        if row["expect"] == "ok":
            wav = read_audio(path, 16000)
            assert wav.dtype == np.float32
            assert wav.ndim == 1
            assert np.abs(wav).max() <= 1.0
            # MP3's header counts the encoder's padding, 0.16 s here.
            assert len(wav) / 16000 == pytest.approx(row["duration_s"], abs=0.17), row["id"]
            assert probe(path).sample_rate == row["sample_rate"]
            assert is_silent(wav) == row["id"].startswith("silence"), row["id"]
        else:
            with pytest.raises(AudioError) as caught:
                read_audio(path, 16000)
            message = str(caught.value)
            assert str(path) in message
            assert "\n" not in message
            assert ("zero length" in message) == (row["expect"] == "empty")


def test_skipping_names_and_counts_what_is_left_out(
    odd_inputs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"manifest": str(odd_inputs / "manifest.jsonl"), "on_error": "skip"}
    with caplog.at_level(logging.WARNING):
        found = list(build("corpus", "manifest", options).utterances(tmp_path, lambda *_: None))
    bad = [row["id"] for row in listed(odd_inputs) if row["expect"] != "ok"]
    assert {u.id for u in found} == {row["id"] for row in listed(odd_inputs)} - set(bad)
    lines = [record.getMessage() for record in caplog.records]
    assert [sum(f"'{id}'" in line for line in lines) for id in bad] == [1] * len(bad)
    assert f"left out {len(bad)} of {len(listed(odd_inputs))} utterances" in lines[-1]


def test_stopping_names_the_first(odd_inputs: Path, tmp_path: Path) -> None:
    corpus = build("corpus", "manifest", {"manifest": str(odd_inputs / "manifest.jsonl")})
    with pytest.raises(DataError, match=r"utterance 'malformed-bad': .*bad.wav: not sound"):
        list(corpus.utterances(tmp_path, lambda *_: None))
