"""A package that slmkit has never heard of: installed by pip, listed, built, and run in a recipe.

It is installed into a folder of its own, which only the processes started here look into.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from slmkit.api import HOOK_OF_KIND

CHIRP = Path(__file__).parent / "third_party" / "chirp"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has put the stranger's package."""
    folder = tmp_path_factory.mktemp("third_party")
    source = shutil.copytree(CHIRP, folder / "source")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run(
        [*pip, "--no-build-isolation", "--target", folder / "site", source],
        check=True,
        capture_output=True,
    )
    return folder / "site"


def python(site: Path, *arguments: str | Path) -> str:
    """Run Python with the stranger's package within reach; gives what it writes."""
    run = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_the_developers_own_environment_stays_as_it_was(site: Path) -> None:
    assert (site / "chirp" / "plugin.py").is_file()
    assert importlib.util.find_spec("chirp") is None


def test_its_parts_are_listed_and_shown_like_any_other(site: Path) -> None:
    rows = [line.split("\t") for line in python(site, "-m", "slmkit", "list").splitlines()]
    strangers = {(row[1], row[0], row[4]) for row in rows if row[3] == "chirp-parts"}
    assert strangers == {
        ("corpus", "chirps", "available"),
        ("tokenizer", "pitch", "available"),
        ("decoding", "one-voice", "available"),
    }
    shown = python(site, "-m", "slmkit", "show", "pitch")
    assert "chirp-parts 0.3 (plugin 'chirp')" in shown
    assert "number of pitches" in shown


USE = """
import json, sys
from pathlib import Path
import soundfile, torch
from slmkit.api import MisfitError, CodeSpec
from slmkit.host import build, load_part, save_part

folder = Path(sys.argv[1])
corpus = build("corpus", "chirps", {"songs": 4})
songs = list(corpus.utterances(folder / "audio", lambda *_: None))
tokenizer = build("tokenizer", "pitch", {"units": 30})
wavs = [torch.from_numpy(soundfile.read(song.audio, dtype="float32")[0]) for song in songs]
wavs.append(torch.zeros(16000))
lengths = torch.tensor([len(wav) for wav in wavs])
wav = torch.nn.utils.rnn.pad_sequence(wavs, batch_first=True)
tokenizer.fit([(wav, lengths)])
origin = tokenizer.origin
save_part(tokenizer, folder / "fitted", origin.shelved, origin.options, origin.given)
codes = load_part(folder / "fitted").encode(wav, lengths)
plan = build("decoding", "one-voice").plan(tokenizer.spec)
try:
    build("decoding", "one-voice").plan(CodeSpec(16000, 320, (8, 8)))
except MisfitError as error:
    refused = str(error)
print(json.dumps({
    "texts": [song.text for song in songs],
    "units": [codes.row(i).values[0, 0].tolist() for i in range(len(wavs))],
    "plan": [[each.layout, each.head] for each in plan],
    "refused": refused,
}))
"""


def test_its_parts_are_built_fitted_saved_and_used(site: Path, tmp_path: Path) -> None:
    used = json.loads(python(site, "-c", USE, tmp_path))
    assert used["plan"] == [["flatten", "linear"]]
    assert "one codebook" in used["refused"]
    *songs, silence = used["units"]
    assert set(silence) == {0}
    units_of_notes: dict[str, set[int]] = {}
    for text, units in zip(used["texts"], songs, strict=True):
        notes = text.split()
        assert len(units) == 10 * len(notes)
        for number, note in enumerate(notes):
            # frames that lie within the note, away from its edges
            units_of_notes.setdefault(note, set()).update(units[10 * number + 2 : 10 * number + 8])
    assert all(len(units) == 1 and units != {0} for units in units_of_notes.values())
    assert len(set.union(*units_of_notes.values())) >= 4


@pytest.mark.slow
def test_a_recipe_runs_with_its_corpus_tokenizer_and_decoding(site: Path, tmp_path: Path) -> None:
    arguments = ("-m", "slmkit", "run", CHIRP / "recipe.yaml", "--output", tmp_path / "run")
    python(site, *arguments)
    check = """
import json, sys
import slmkit
result = slmkit.run(sys.argv[1], output=sys.argv[2])
from slmkit.data.store import TokenStore
from slmkit.lm.saving import load_lm
store = TokenStore.open(result.paths["tokenize"] / "codes")
lm = load_lm(result.paths["train"] / "lm")
print(json.dumps({
    "ran": list(result.ran),
    "rows": len(list(store.rows())),
    "sizes": store.spec.codebook_sizes,
    "decoding": f"{type(lm.decoding).__module__}:{type(lm.decoding).__name__}",
    "codebooks": lm.vocabulary.codebooks,
}))
"""
    found = json.loads(
        python(site, "-c", check, CHIRP / "recipe.yaml", tmp_path / "run").splitlines()[-1]
    )
    assert found["ran"] == []
    assert found["rows"] == 12
    assert found["sizes"] == [24]
    assert found["decoding"] == "chirp.decoding:OneVoice"
    assert found["codebooks"] == 1


HUSH = Path(__file__).parents[1] / "docs" / "examples" / "hush"


def test_the_tutorial_shows_what_is_in_the_example() -> None:
    """Each excerpt names its file in the first line, and stands in it as it is shown."""
    text = (HUSH.parents[1] / "write-a-plugin.md").read_text()
    excerpts = re.findall(r"^```py\n# (\S+)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert {name for name, _ in excerpts} == {
        "hush/plugin.py",
        "hush/codec.py",
        "tests/test_hush.py",
    }
    for name, excerpt in excerpts:
        assert excerpt in (HUSH / name).read_text(), name
    (toml,) = re.findall(r"^```toml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    shown, whole = tomllib.loads(toml), tomllib.loads((HUSH / "pyproject.toml").read_text())
    for table, values in shown["project"].items():
        assert whole["project"][table] == values
    kinds = re.findall(r"^\| ([a-z-]+) \| `(slmkit_\w+)` \|", text, re.MULTILINE)
    assert dict(kinds) == HOOK_OF_KIND


@pytest.mark.slow
def test_the_example_of_the_tutorial_installs_passes_its_tests_and_runs(tmp_path: Path) -> None:
    site = tmp_path / "site"
    source = shutil.copytree(HUSH, tmp_path / "source")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    line = [*pip, "--no-build-isolation", "--target", site, source]
    subprocess.run(line, check=True, capture_output=True)
    tests = [HUSH / "tests", "-q", "-c", os.devnull, "-p", "no:cacheprovider"]
    assert "2 passed" in python(site, "-m", "pytest", *tests)
    assert "1 kept" in python(site, "-m", "slmkit", "check", "hush")
    rows = []
    for number, text in enumerate(["low and high"] * 6 + ["high and low"] * 2):
        time = np.arange(16000) / 16000
        glide = np.sin(2 * np.pi * (100 + 20 * number + 100 * time) * time)
        soundfile.write(tmp_path / f"{number}.wav", 0.3 * glide, 16000)
        split = "train" if number < 6 else "dev"
        rows.append({"id": f"{number}", "audio": f"{number}.wav", "text": text, "split": split})
    (tmp_path / "speech.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    manifest = f"corpus.manifest={tmp_path / 'speech.jsonl'}"
    arguments = ["-m", "slmkit", "run", HUSH / "recipe.yaml", manifest]
    python(site, *arguments, "--output", tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert [stage["status"] for stage in record["stages"]] == ["done"] * 4
