"""SLMTokBench from the command line: rows, a second run, a kill, faults, long manifests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toy_faulty

from slmkit.api import DataError, SlmkitError, Utterance
from slmkit.benchmark import data as speech_of
from slmkit.benchmark.asking import ask
from slmkit.benchmark.candidate import candidate, candidates
from slmkit.benchmark.protocol import load_protocol
from slmkit.benchmark.row import Failed, Row, Value
from slmkit.benchmark.row_file import read_row
from slmkit.data.audio import write_audio

STAIRS = "stairs codebooks=1 hop_length=160"
MEASURED = {"real-time-factor-encode", "real-time-factor-decode", "peak-memory-encode",
            "peak-memory-decode"}  # fmt: skip
"""What is never the same twice."""


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return toy_faulty.outside(tmp_path_factory.mktemp("site"))


def words(output: Path, *tokenizers: str, data: str = "smoke") -> list[str]:
    named = [word for each in tokenizers for word in ("-t", each)]
    more = ["--data", data, "--output", str(output), "--jobs", "1"]
    if data != "smoke":
        more += ["--protocol", "smoke"]
    return [sys.executable, "-m", "slmkit", "bench", "slmtokbench", *named, *more]


def bench(
    output: Path, outside: dict[str, str], *tokenizers: str, data: str = "smoke"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words(output, *tokenizers, data=data),
        env=outside, capture_output=True, text=True, timeout=900, cwd=output.parent,
    )  # fmt: skip


def rows(output: Path) -> dict[str, Row]:
    found = [read_row(path) for path in sorted((output / "rows").glob("*.json"))]
    return {row.tokenizer.name: row for row in found}


@pytest.fixture(scope="module")
def first(
    tmp_path_factory: pytest.TempPathFactory, outside: dict[str, str]
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A tokenizer that is well, and several that are not."""
    output = tmp_path_factory.mktemp("bench") / "out"
    faults = [f"{how}=faulty how={how} codebooks=1 hop_length=160" for how in ("nan", "long")]
    return output, bench(output, outside, STAIRS, *faults)


@pytest.mark.slow
def test_a_tokenizer_ends_in_a_row(first: Any) -> None:
    output, _ = first
    row = rows(output)["stairs"]
    protocol = load_protocol("smoke")
    assert (row.protocol.name, row.protocol.hash) == ("smoke", protocol.hash)
    assert row.seeds == (0, 1)
    assert set(row.judges) == {"transcriber", "speaker-encoder"}
    assert row.tokenizer.options["hop_length"] == 160
    for name in ("mutual-information", "mutual-information-shuffled", "probe-wer", "wer",
                 "mel-distance", "phone-mutual-information", "phone-purity", "speaker-purity",
                 "abx-within", "abx-across", "edit-distance-noise", "edit-distance-pitch",
                 "bitrate/nominal", "codebook-usage"):  # fmt: skip
        assert isinstance(row.values[f"{name}/1"], Value), row.values[f"{name}/1"]
    assert row.values["bitrate/nominal/1"].value == pytest.approx(50 * 4)
    assert row.values["frame-rate/all"].value == 50
    assert isinstance(row.values["wer/original"], Value)
    for name in MEASURED:
        assert row.values[f"{name}/all"].value > 0
    assert row.values["peak-memory-encode/all"].value > 100
    probed = row.items["probe-wer/1"]
    assert set(probed) == set(row.items["probe-wer-shuffled/1"])


@pytest.mark.slow
def test_faults_are_told_and_are_no_numbers(first: Any) -> None:
    output, done = first
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "long" not in rows(output), "what gives wrong lengths is not measured at all"
    assert "failed: long: no codes: the tokenizer gives utterance" in done.stderr
    nan = rows(output)["nan"]
    for name in ("wer", "mel-distance", "stoi", "pesq", "si-sdr", "similarity"):
        value = nan.values[f"{name}/1"]
        assert isinstance(value, Failed)
        assert "NaN" in value.reason
    assert isinstance(nan.values["mutual-information/1"], Value), "its codes are as good as any"
    same = rows(output)["stairs"].values["mutual-information/1"]
    assert nan.values["mutual-information/1"] == same


@pytest.mark.slow
def test_a_second_run_reads_and_imports_no_torch(first: Any, outside: dict[str, str]) -> None:
    output, _ = first
    before = {path: path.read_bytes() for path in (output / "rows").iterdir()}
    look = (
        "import sys\n"
        "from slmkit.cli.main import app\n"
        f"sys.argv = {words(output, STAIRS)[2:]!r}\n"
        "try: app()\n"
        "except SystemExit as end: print('code', end.code)\n"
        "print([m for m in ('torch', 'lightning', 'lhotse') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", look], env=outside, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.splitlines()[-2:] == ["code 0", "[]"], done.stdout + done.stderr
    assert {path: path.read_bytes() for path in (output / "rows").iterdir()} == before


def same_values(one: Row, other: Row) -> bool:
    def kept(row: Row) -> dict[str, Any]:
        return {k: v for k, v in row.values.items() if k.rpartition("/")[0] not in MEASURED}

    return kept(one) == kept(other) and one.judges == other.judges and one.data == other.data


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_values(
    first: Any, outside: dict[str, str], tmp_path: Path
) -> None:
    """Killed again and again, each time when something new is there."""
    output, _ = first
    broken = tmp_path / "out"

    def done() -> int:
        return len(list(broken.glob("*/*.json"))) + len(list(broken.glob("judges/*")))

    for _ in range(3):
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                words(broken, STAIRS), env=outside, stderr=log, stdout=log, start_new_session=True
            )
        known, limit = done(), time.monotonic() + 600
        while done() <= known and process.poll() is None and time.monotonic() < limit:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    last = bench(broken, outside, STAIRS)
    assert last.returncode == 0, last.stderr
    assert same_values(rows(broken)["stairs"], rows(output)["stairs"])


# data


def manifest(folder: Path, count: int, **more: Any) -> Path:
    """Many rows that all name one sound."""
    sound = folder / "sound.wav"
    write_audio(sound, 0.1 * np.sin(np.arange(16000) / 9).astype("f4"), 16000)
    path = folder / f"{count}.jsonl"
    splits = ("train", "dev", "test")
    with path.open("w") as file:
        for n in range(count):
            row = {"id": f"u{n:07d}", "audio": "sound.wav", "duration": 1.0,
                   "split": splits[n % 3], "filler": "x" * 200, **more}  # fmt: skip
            file.write(json.dumps(row) + "\n")
    return path


def quiet(*_: Any, **__: Any) -> None:
    pass


def test_memory_does_not_grow_with_the_manifest(tmp_path: Path) -> None:
    peaks = []
    for count in (3_000, 30_000):
        path = manifest(tmp_path, count, text="what is said", speaker="who")
        tracemalloc.start()
        prepared = speech_of.prepare(load_protocol("smoke"), str(path), tmp_path / "d", quiet)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(prepared.subsets["train"]) == 24
    assert peaks[1] < 1.2 * peaks[0] + 200_000


def test_a_sample_is_the_same_in_any_order_and_its_beginning_a_smaller_one(tmp_path: Path) -> None:
    settings = load_protocol("smoke").data
    said = [Utterance(f"u{n}", Path("x"), split="test", duration=1.0) for n in range(300)]
    drawn = []
    for some in (said, said[::-1]):
        draw = speech_of._Draw(settings.test)
        for utterance in some:
            draw.offer(utterance)
        drawn.append([utterance.id for utterance in draw.chosen()])
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == settings.test.utterances
    fewer = speech_of._Draw(speech_of.Subset("test", utterances=3))
    for utterance in said:
        fewer.offer(utterance)
    assert [utterance.id for utterance in fewer.chosen()] == drawn[0][:3]


def test_the_hash_of_data_follows_what_is_heard_and_said_and_no_path(tmp_path: Path) -> None:
    protocol, hashes = load_protocol("smoke"), {}
    for name, text in (("one", "a b"), ("moved", "a b"), ("said", "a c"), ("heard", "a b")):
        folder = tmp_path / name
        folder.mkdir()
        path = manifest(folder, 30, text=text)
        if name == "heard":
            write_audio(folder / "sound.wav", 0.2 * np.sin(np.arange(16000) / 7), 16000)
        prepared = speech_of.prepare(protocol, str(path), folder / "d", quiet)
        hashes[name] = prepared.hash
        assert speech_of.prepare(protocol, str(path), folder / "d", quiet) == prepared
    assert hashes["one"] == hashes["moved"]
    assert len({hashes["one"], hashes["said"], hashes["heard"]}) == 3


def test_data_that_cannot_be_used_is_told_in_a_line(tmp_path: Path) -> None:
    protocol = load_protocol("smoke")
    path = manifest(tmp_path, 3)
    lines = [json.loads(line) | {"split": "train"} for line in path.read_text().splitlines()]
    path.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(DataError, match="none of 3 utterances is of the split 'test'"):
        speech_of.prepare(protocol, str(path), tmp_path / "d", quiet)
    with pytest.raises(DataError, match="no such manifest"):
        speech_of.prepare(protocol, "nowhere.jsonl", tmp_path / "d", quiet)
    published = load_protocol("librispeech")
    with pytest.raises(DataError, match="--root"):
        speech_of.prepare(published, "librispeech", tmp_path / "d", quiet)


@pytest.mark.slow
def test_a_manifest_without_texts_and_voices_is_measured_as_far_as_it_goes(
    outside: dict[str, str], tmp_path: Path
) -> None:
    path = manifest(tmp_path, 60)
    done = bench(tmp_path / "out", outside, STAIRS, data=str(path))
    assert "no training utterance has a text: give a judge that comes trained" in done.stderr
    row = rows(tmp_path / "out")["stairs"]
    assert set(row.judges) == {"speaker-encoder"}
    for name in ("mutual-information", "probe-wer", "wer", "abx-within", "phone-purity",
                 "speaker-purity"):  # fmt: skip
        value = row.values[f"{name}/1"]
        assert isinstance(value, Failed)
        assert "text" in value.reason or "have no" in value.reason
    for name in ("mel-distance", "edit-distance-noise", "codebook-usage"):
        assert isinstance(row.values[f"{name}/1"], Value)


# what a person names


@pytest.mark.slow
def test_a_vocoder_speaks_for_whoever_has_no_decoder_and_for_nobody_else(
    tmp_path: Path, outside: dict[str, str]
) -> None:
    output = tmp_path / "out"
    done = subprocess.run(
        [*words(output, STAIRS, "mel-km-mini"), "--vocoder", "unit-hifigan-mini"],
        env=outside, capture_output=True, text=True, timeout=900, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = rows(output)
    assert found["stairs"].vocoder is None
    spoken = found["mel-km-mini"].vocoder
    assert spoken is not None
    assert spoken.name == "unit-hifigan-mini"
    for row in found.values():
        assert isinstance(row.values["similarity/1"], Value)
    assert found["stairs"].setting == found["mel-km-mini"].setting


def test_tokenizers_are_named_in_every_way(tmp_path: Path) -> None:
    plain, small = candidates(["mel-rvq", "small=mel-rvq codebooks=4"])
    assert (plain.name, small.name) == ("mel-rvq", "small")
    assert small.options["codebooks"] == 4
    assert plain.fingerprint(tmp_path) != small.fingerprint(tmp_path)
    with pytest.raises(SlmkitError, match="2 tokenizers would stand as 'mel-km'"):
        candidates(["mel-km", "mel-km clusters=4"])
    with pytest.raises(SlmkitError, match="did you mean mel-rvq"):
        candidate("mel-rvk")
    with pytest.raises(SlmkitError, match="key 'codebook'"):
        candidate("mel-rvq codebook=4")


def test_requests_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SlmkitError, match="two or more"):
        ask(["mel-km"], seeds=[3])
    with pytest.raises(SlmkitError, match="each of these has one"):
        ask(["mel-rvq"], vocoder="griffin-lim")
    with pytest.raises(SlmkitError, match="unknown protocol 'mimi'"):
        ask(["mel-km"], data="mimi")
    with pytest.raises(SlmkitError, match="data of its own"):
        ask(["mel-km"], data="mini", protocol="librispeech")
    request = ask(["mel-km"], data=str(tmp_path / "own.jsonl.gz"))
    assert request.protocol.name == "mini"
    assert ask(["mel-km"], seeds=[3, 4]).protocol.hash != ask(["mel-km"]).protocol.hash
