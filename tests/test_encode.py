"""`slmkit encode`: sound into codes, in a process of its own as a person runs it."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.dataset
import pytest
import soundfile
import torch
import toy_codec
from toy_stairs import Stairs

from slmkit.api import AudioError, CodeSpec, DataError
from slmkit.data.archive import CodeArchive
from slmkit.data.audio import read_audio, read_blocks
from slmkit.data.sources import find_utterances
from slmkit.data.store import TokenStore

RATE = 8000


def wave(seed: int, samples: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, samples).astype(np.float32)


def sounds(folder: Path, count: int = 6) -> Path:
    """Noise of different lengths, the last in a folder below."""
    for number in range(count):
        place = folder / ("deep" if number == count - 1 else "") / f"s{number:03d}.wav"
        place.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(place, wave(number, 700 + 130 * number), RATE, subtype="FLOAT")
    return folder


def by_hand(path: Path, **options: object) -> list[list[int]]:
    """The codes of a file, from the tokenizer itself."""
    wav = torch.from_numpy(read_audio(path, RATE))[None]
    part = Stairs(toy_codec.StairsOptions(**options))
    return part.encode(wav, torch.tensor([wav.shape[1]])).values[0].tolist()


def held(store: Path) -> dict[str, list[list[int]]]:
    return {row.id: row.codes.tolist() for row in TokenStore.open(store).rows()}


def test_a_folder_becomes_a_store_and_an_archive(command, tmp_path: Path) -> None:
    folder = sounds(tmp_path / "in")
    done = command("encode", "in", "-t", "stairs", "-o", "codes", "codebooks=2")
    assert done.returncode == 0, done.stderr
    assert "6 coded, 0 there already" in done.stdout
    expected = {
        f.relative_to(folder).with_suffix("").as_posix(): by_hand(f, codebooks=2)
        for f in folder.rglob("*.wav")
    }
    assert held(tmp_path / "codes") == expected
    assert "deep/s005" in expected
    # strangers read the folder as it is, whatever slmkit keeps beside the shards
    table = pyarrow.dataset.dataset(tmp_path / "codes", format="parquet").to_table()
    assert sorted(table["id"].to_pylist()) == sorted(expected)

    words = ("encode", "in", "-t", "stairs", "-o", "codes.npz", "codebooks=2")
    done = command(*words, "--jobs", "2")
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "codes.npz") as arrays:
        assert {i: arrays[f"codes/{i}"].tolist() for i in expected} == expected
    assert "0 coded, 6 there already" in command(*words).stdout


def test_what_is_there_stays_and_what_changed_is_coded_anew(command, tmp_path: Path) -> None:
    folder = sounds(tmp_path / "in")
    words = ("encode", "in", "-t", "stairs", "-o", "codes")
    command(*words)
    first = held(tmp_path / "codes")
    soundfile.write(folder / "s001.wav", wave(99, 555), RATE, subtype="FLOAT")
    soundfile.write(folder / "new.wav", wave(98, 444), RATE, subtype="FLOAT")
    shutil.copy(folder / "s002.wav", folder / "copy.wav")
    os.replace(folder / "copy.wav", folder / "s002.wav")  # another inode, the same sound
    done = command(*words)
    assert "2 coded, 5 there already" in done.stdout
    now = held(tmp_path / "codes")
    assert now.pop("new") == by_hand(folder / "new.wav")
    assert now["s001"] == by_hand(folder / "s001.wav") != first["s001"]
    assert {**now, "s001": first["s001"]} == first


def test_a_second_time_reads_no_sound_and_no_torch(command, tmp_path: Path) -> None:
    sounds(tmp_path / "in", 3)
    words = ("encode", "in", "-t", "stairs", "-o", "codes")
    command(*words)
    long_ago = time.time() - 100
    for file in (tmp_path / "in").rglob("*.wav"):
        os.utime(file, (long_ago, long_ago))
    assert command(*words).returncode == 0  # remembers the hashes of files that have settled
    for file in (tmp_path / "in").rglob("*.wav"):
        status = file.stat()
        with file.open("r+b") as raw:
            raw.write(b"no sound at all")
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    done = command(*words, PYTHONPROFILEIMPORTTIME="1")
    assert "0 coded, 3 there already" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "slmkit.data.extract" in imported
    assert "torch" not in imported


def test_stores_do_not_mix(command, tmp_path: Path) -> None:
    sounds(tmp_path / "in", 2)
    weights = tmp_path / "weights.bin"
    weights.write_text("one")
    words = ("encode", "in", "-t", "stairs", "-o", "codes")
    command(*words, f"weights={weights}")
    done = command(*words, f"weights={weights}", "codebooks=2")
    assert done.returncode == 2
    assert "these codes come from another tokenizer" in done.stderr
    weights.write_text("two")
    done = command(*words, f"weights={weights}")
    assert done.returncode == 2
    assert "these codes come from another tokenizer" in done.stderr
    moved = weights.rename(tmp_path / "moved.bin")
    moved.write_text("one")
    done = command(*words, f"weights={moved}")
    assert done.returncode == 0, "the same weights at another place are the same tokenizer"


BAD = {"empty": b"", "text": b"not sound", "cut": b"RIFF\x24\x00\x00\x00WAVEfmt "}


def test_broken_files_are_named_and_the_rest_is_coded(command, tmp_path: Path) -> None:
    sounds(tmp_path / "in", 9)
    for name, data in BAD.items():
        (tmp_path / "in" / f"{name}.wav").write_bytes(data)
    words = ("encode", "in", "-t", "stairs", "-o", "codes")
    done = command(*words)
    assert done.returncode == 1
    assert "9 coded" in done.stdout
    *named, last = done.stderr.splitlines()
    assert [line.partition(":")[0] for line in named] == [f"left out '{n}'" for n in sorted(BAD)]
    assert all(f"in/{name}.wav: " in line for name, line in zip(sorted(BAD), named, strict=True))
    assert last == "error: 3 of 12 could not be coded"
    assert "0 coded, 9 there already" in command(*words).stdout
    done = command(*words[:-1], "other", "--on-error", "stop")
    assert done.returncode == 2
    assert done.stderr.startswith("error: utterance 'cut': in/cut.wav: ")


WRONG = {
    "no tokenizer": (["in"], "give one tokenizer"),
    "unknown tokenizer": (["in", "-t", "stares"], "did you mean stairs"),
    "unknown option": (["in", "-t", "stairs", "codebook=2"], "did you mean 'codebooks'"),
    "mistyped option": (["in", "-t", "stairs", "codebooks=a"], "'a' is not int"),
    "missing file": (["in/none.wav", "-t", "stairs"], "in/none.wav: no such file"),
    "empty glob": (["in/*.mp3", "-t", "stairs"], "nothing has such a name"),
    "folder without sound": (["void", "-t", "stairs"], "void: no sound in this folder"),
    "one name for two": (["in/a.wav", "in2/a.wav", "-t", "stairs"], "would both be 'a'"),
    "no run": (["in", "--from", "void"], "neither the folder of a run"),
    "unknown policy": (["in", "-t", "stairs", "--on-error", "skp"], "did you mean skip"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_one_line_and_nothing_is_written(case, command, tmp_path: Path) -> None:
    for folder in ("in", "in2", "void"):
        (tmp_path / folder).mkdir()
    for place in ("in/a.wav", "in2/a.wav"):
        soundfile.write(tmp_path / place, wave(1, 800), RATE)
    words, reason = WRONG[case]
    done = command("encode", *words, "-o", "codes")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert reason in line
    assert not (tmp_path / "codes").exists()


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_tokenizer_that_cannot_be_made_leaves_no_store(jobs, command, tmp_path: Path) -> None:
    sounds(tmp_path / "in", 1)
    words = ("encode", "in", "-t", "stairs", "weights=gone.bin", "-o", "codes", "--jobs", jobs)
    done = command(*words)
    assert done.returncode == 2
    assert done.stderr == "error: gone.bin: no such weights\n"
    assert not (tmp_path / "codes" / "_header.json").exists()


def test_files_globs_and_manifests_are_found(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    sounds(tmp_path / "in", 4)
    (tmp_path / "in" / "notes.txt").write_text("no sound")
    ids = lambda *given: sorted(u.id for u in find_utterances(given))  # noqa: E731
    assert ids("in") == ["deep/s003", "s000", "s001", "s002"]
    assert ids("in/s001.wav", "in/s000.wav") == ["s000", "s001"]
    assert ids("in/**/*.wav") == ["deep/s003", "s000", "s001", "s002"]
    assert ids("in/*/s*.wav") == ["deep/s003"]
    assert ids("in", "in/s001.wav") == ids("in"), "the same file twice is one"
    rows = [{"id": "x", "audio": "in/s000.wav", "start": 0.01, "duration": 0.05, "text": "hi"},
            {"id": "y", "text": "only text"}]  # fmt: skip
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (found,) = find_utterances(["m.jsonl"])
    assert (found.id, found.start, found.text) == ("x", 0.01, "hi")
    (tmp_path / "n.jsonl").write_text(json.dumps(rows[1]))
    with pytest.raises(DataError, match="no utterance of this manifest has sound"):
        find_utterances(["n.jsonl"])


def test_a_part_of_a_file_is_told_from_another_part(command, tmp_path: Path) -> None:
    sounds(tmp_path / "in", 1)
    row = {"id": "x", "audio": "in/deep/s000.wav", "start": 0.01, "duration": 0.05, "text": "hi"}
    (tmp_path / "m.jsonl").write_text(json.dumps(row))
    words = ("encode", "m.jsonl", "-t", "stairs", "-o", "codes")
    assert "1 coded" in command(*words).stdout
    assert "1 there already" in command(*words).stdout
    (tmp_path / "m.jsonl").write_text(json.dumps({**row, "start": 0.02}))
    assert "1 coded" in command(*words).stdout
    (kept,) = TokenStore.open(tmp_path / "codes").rows()
    assert (kept.frames, kept.text) == (10, "hi")


def test_the_speed_that_is_told_is_the_speed(command, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", wave(1, 20 * RATE), RATE)
    done = command("encode", "a.wav", "-t", "stairs", "-o", "codes", "pause=2")
    speed = float(done.stdout.rpartition(" at ")[2].split()[0])
    assert 1 <= speed <= 10, "20 seconds of sound take a little more than 2"


def stereo(folder: Path, seconds: float, rate: int) -> Path:
    path = folder / "long.flac"
    soundfile.write(path, np.stack([wave(1, int(seconds * rate)), wave(2, int(seconds * rate))], 1),
                    rate)  # fmt: skip
    return path


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 11025])
def test_blocks_joined_are_the_whole(tmp_path: Path, rate: int) -> None:
    path = stereo(tmp_path, 23.7, rate)
    for given in ({}, {"start": 1.3, "duration": 17.9, "channel": 1}):
        whole = read_audio(path, 8000, **given)
        blocks = list(read_blocks(path, 8000, **given))
        assert len(blocks) > 1
        np.testing.assert_array_equal(np.concatenate(blocks), whole)


def test_blocks_end_in_an_error_where_the_file_breaks(tmp_path: Path) -> None:
    path = stereo(tmp_path, 25.0, 8000)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    path.write_bytes(data)
    with pytest.raises(AudioError, match="broken, it cannot be decoded"):
        list(read_blocks(path, 8000))


def test_long_sound_is_coded_in_blocks_to_the_same_codes(command, tmp_path: Path) -> None:
    path = stereo(tmp_path, 41.0, 8000)
    done = command("encode", path, "-t", "stairs", "-o", "codes")
    assert done.returncode == 0, done.stderr
    assert held(tmp_path / "codes")["long"] == by_hand(path)


def test_an_archive_keeps_everything(tmp_path: Path) -> None:
    from slmkit.data.shards import StoredCodes

    spec = CodeSpec(16000, 320, (8,), deduplicated=True)
    side = {"scale": np.arange(6, dtype=np.float32).reshape(2, 3)}
    row = StoredCodes("a/b", np.array([[1, 2]]), "dev", "ann", "hi", durations=np.array([3, 4]),
                      source="s", side=side)  # fmt: skip
    for kind, place in ((CodeArchive, "x.npz"), (TokenStore, "x")):
        kept = kind.create(tmp_path / place, spec, "f", {"part": "p"})
        with kept.writer() as writer:
            writer.add(row)
            with pytest.raises(DataError, match="is in this token store already"):
                writer.add(row)
        again = kind.open(tmp_path / place, spec, "f")
        assert again.made_by == {"part": "p"}
        assert again.sources() == {"a/b": "s"}
        (found,) = again.rows()
        codes = found.alone(spec)
        assert codes.expand().values[0, 0].tolist() == [1, 1, 1, 2, 2, 2, 2]
        np.testing.assert_array_equal(codes.side["scale"][0].numpy(), side["scale"])
        assert (found.split, found.speaker, found.text, found.topic) == ("dev", "ann", "hi", None)
        again.drop({"a/b"})
        with again.writer() as writer:
            writer.flush()
        assert kind.open(tmp_path / place).ids() == set()
        with pytest.raises(DataError, match="another tokenizer"):
            kind.open(tmp_path / place, None, "g")
    (tmp_path / "x.npz").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match="not an archive of codes"):
        CodeArchive.open(tmp_path / "x.npz")


@pytest.mark.slow
def test_a_thousand_files_with_three_broken_and_a_quick_second_time(
    command, tmp_path: Path
) -> None:
    sounds(tmp_path / "in", 997)
    for name, data in BAD.items():
        (tmp_path / "in" / f"{name}.wav").write_bytes(data)
    words = ("encode", "in", "-t", "stairs", "-o", "codes")
    done = command(*words)
    assert done.returncode == 1
    assert "997 coded" in done.stdout
    assert done.stderr.count("left out ") == 3
    for name in BAD:
        (tmp_path / "in" / f"{name}.wav").unlink()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = command(*words)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "0 coded, 997 there already" in done.stdout
    # of the processor, which other work on the machine does not slow down
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert seconds <= 2.0


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_killed_extraction_goes_on_without_loss_or_double(
    stairs_environment: dict[str, str], tmp_path: Path, jobs: str
) -> None:
    folder = sounds(tmp_path / "in", 150)
    for file in folder.glob("*.wav"):
        # of 20 s each, so that a batch holds three
        soundfile.write(file, np.tile(wave(int(file.stem[1:]), 8000), 20), RATE, subtype="PCM_16")
    words = [sys.executable, "-m", "slmkit", "encode", "in", "-t", "stairs", "pause=0.3"]
    words += ["-o", "codes", "--jobs", jobs]
    started = time.monotonic()
    first = [*words[:4], "in/s000.wav", *words[5:-3], "first", *words[-2:]]
    assert subprocess.run(first, cwd=tmp_path, env=stairs_environment).returncode == 0
    start = time.monotonic() - started
    draw = random.Random(5)
    seen = [0]
    for _ in range(10):
        process = subprocess.Popen(
            words,
            cwd=tmp_path,
            env=stairs_environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(draw.uniform(0.5 * start, start + 4.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if (tmp_path / "codes" / "_header.json").exists():
            seen.append(len(TokenStore.open(tmp_path / "codes").ids()))
    assert seen == sorted(seen), "what was written stays"
    assert seen[-1] > 0, "no kill came after anything was written: the test shows nothing"
    done = subprocess.run(words, cwd=tmp_path, env=stairs_environment, capture_output=True)
    assert done.returncode == 0, done.stderr
    rows = list(TokenStore.open(tmp_path / "codes").rows())
    assert len(rows) == len({row.id for row in rows}) == 150
    for row in draw.sample(rows, 20):
        assert row.codes.tolist() == by_hand(folder / f"{row.id}.wav")


@pytest.fixture
def at_work(stairs_environment: dict[str, str], tmp_path: Path):
    """Starts an extraction of four sounds, and gives it once a half of them is coded."""
    started: list[subprocess.Popen[str]] = []

    def start(jobs: str) -> subprocess.Popen[str]:
        sounds(tmp_path / "in", 4)
        for file in (tmp_path / "in").rglob("*.wav"):
            soundfile.write(file, wave(int(file.stem[1:]), 29 * RATE), RATE, subtype="PCM_16")
        words = ["encode", "in", "-t", "stairs", "-o", "codes", "pause=2.0", "--jobs", jobs]
        process = subprocess.Popen(
            [sys.executable, "-m", "slmkit", *words],
            cwd=tmp_path,
            env=stairs_environment,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        deadline = time.monotonic() + 60
        while not (tmp_path / "codes" / "_lock").exists():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.7)  # the rows follow the lock; the next batch takes 2 s
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def children(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_with_130_and_keeps_what_was_coded(jobs, at_work, tmp_path: Path) -> None:
    process = at_work(jobs)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "run the same command again" in errors
    assert len(held(tmp_path / "codes")) >= 2


def test_no_process_outlives_a_killed_one(at_work) -> None:
    process = at_work("2")
    helpers = children(process.pid)
    assert len(helpers) >= 2
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in helpers):
        assert time.monotonic() < deadline, "they are still there"
        time.sleep(0.1)


def test_broken_helpers_are_told_in_one_line(command, tmp_path: Path) -> None:
    sounds(tmp_path / "in", 2)
    done = command("encode", "in", "-t", "stairs", "-o", "codes", "pause=-9", "--jobs", "2")
    assert done.returncode == 1
    assert "fewer --jobs, it goes on where it stopped" in done.stderr.splitlines()[-1]


def test_the_odd_inputs_are_coded_or_named(command, speech: Path, tmp_path: Path) -> None:
    folder = speech / "odd_inputs"
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").open()]
    done = command("encode", folder / "manifest.jsonl", "-t", "stairs", "-o", "codes")
    bad = {row["id"] for row in rows if row["expect"] != "ok"}
    assert done.returncode == 1
    *named, last = done.stderr.splitlines()
    assert {line.split("'")[1] for line in named} == bad
    assert all(line.startswith("left out ") for line in named)
    assert last == f"error: {len(bad)} of {len(rows)} could not be coded"
    codes = held(tmp_path / "codes")
    assert set(codes) == {row["id"] for row in rows} - bad
    for row in rows:
        if row["expect"] == "ok":
            frames = row["duration_s"] * RATE / 40
            assert len(codes[row["id"]][0]) == pytest.approx(frames, abs=0.17 * RATE / 40)
