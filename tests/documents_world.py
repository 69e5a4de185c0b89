"""A folder in which the commands of the documents can be run: sounds, weights, and small runs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import soundfile
import torch
from test_speechtokenizer import SMALL
from transformers import EncodecConfig, EncodecModel

ROOT = Path(__file__).resolve().parents[1]
SOUNDS = (
    "question", "source", "reference", "other", "me", "speech", "speech/a", "speech/deep/b",
    "speech/part-0/c", "speech/part-1/d",
)  # fmt: skip
RUNS = ("speechgpt", "unit-hifigan", "decoding-strategies", "speechtokenizer")
"""Recipes whose smoke runs stand where documents name a whole one."""


def voiced(seconds: float, pitch: float) -> np.ndarray:
    """Something that a speaker encoder takes for a voice: a buzz that comes and goes."""
    time = np.arange(int(16000 * seconds)) / 16000
    buzz = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 12))
    noise = np.random.default_rng(int(pitch)).normal(0, 0.02, len(time))
    return (0.2 * buzz * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * time)) + noise).astype(np.float32)


def furnish(folder: Path) -> None:
    """Sounds, a licence to tell of, and the recipes."""
    for number, name in enumerate(SOUNDS):
        file = folder / f"{name}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, voiced(2.0 + 0.1 * number, 90 + 15 * number), 16000)
    (folder / "more").mkdir()
    soundfile.write(folder / "more" / "e.flac", voiced(1.0, 200), 16000)
    (folder / "licences.md").write_text("Synthesized.\n")
    (folder / "recipes").symlink_to(ROOT / "recipes")
    shutil.copytree(ROOT / "benchmarks" / "leaderboard", folder / "benchmarks" / "leaderboard")
    (folder / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "hello.wav", folder / "docs")
    (folder / "my").mkdir()
    for place in ("digits", "my"):
        (folder / place).mkdir(exist_ok=True)
        row = {"id": "a", "audio": "../question.wav", "text": "one", "speaker": "x"}
        (folder / place / "manifest.jsonl").write_text(json.dumps(row) + "\n")


def add_encodec(folder: Path) -> None:
    """Random weights in the place of the published ones."""
    torch.manual_seed(0)
    EncodecModel(EncodecConfig()).save_pretrained(folder / "transformers")
    shutil.move(folder / "transformers" / "model.safetensors", folder / "encodec_24khz.safetensors")


def add_speechtokenizer(folder: Path, package: ModuleType) -> None:
    """Random weights of a small one, as the package writes them."""
    torch.manual_seed(0)
    place = folder / "speechtokenizer"
    place.mkdir()
    (place / "config.json").write_text(json.dumps(SMALL))
    torch.save(package.SpeechTokenizer(SMALL).state_dict(), place / "SpeechTokenizer.pt")


def add_run(folder: Path, name: str) -> None:
    """The smoke run of a recipe."""
    words = ["run", name, "--profile", "smoke", "--output", str(folder / "runs" / name)]
    done = subprocess.run([sys.executable, "-m", "slmkit", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
