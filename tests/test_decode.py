"""`slmkit decode` and `slmkit resynth`: codes into sound."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from toy_codec import StairsOptions
from toy_stairs import Stairs

from slmkit.api import CodeSpec
from slmkit.data.audio import read_audio, write_blocks
from slmkit.data.shards import StoredCodes
from slmkit.data.store import TokenStore
from slmkit.host import build, save_part
from slmkit.testing.tokenizers import sounds as glides

RATE, HOP = 8000, 40


def tone(seconds: float, hertz: float = 50.0) -> np.ndarray:
    """A tone that is slow enough to be heard through frames of 40 samples."""
    return 0.8 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


@pytest.fixture
def coded(command, tmp_path: Path) -> Path:
    """A store of two tones, one of 35 s."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    soundfile.write(tmp_path / "in" / "deep" / "short.wav", tone(1.003), RATE)
    soundfile.write(tmp_path / "in" / "long.wav", tone(35.0, 20.0), RATE)
    done = command("encode", "in", "-t", "stairs", "-o", "codes")
    assert done.returncode == 0, done.stderr
    return tmp_path / "codes"


def means(wav: np.ndarray) -> np.ndarray:
    """The mean of each frame, the last filled up with zeros."""
    return np.pad(wav, (0, -len(wav) % HOP)).reshape(-1, HOP).mean(axis=1)


def test_decoded_sound_is_what_was_coded(command, coded: Path, tmp_path: Path) -> None:
    done = command("decode", "codes", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert "out: 2 sounds" in done.stdout
    assert done.stderr == ""
    for name in ("deep/short", "long"):
        given = read_audio(tmp_path / "in" / f"{name}.wav", RATE)
        back, rate = soundfile.read(tmp_path / "out" / f"{name}.flac")
        assert rate == RATE
        assert len(back) == -(-len(given) // HOP) * HOP
        # three digits of 16 steps each, and 16 bits of the file
        assert np.abs(means(back) - means(given)).max() < 16**-3 + 2**-15


def test_an_archive_decodes_like_a_store(command, coded: Path, tmp_path: Path) -> None:
    assert command("encode", "in", "-t", "stairs", "-o", "codes.npz").returncode == 0
    for place in ("codes", "codes.npz"):
        assert command("decode", place, "-o", f"{place}-out", "-t", "stairs").returncode == 0
    for name in ("deep/short.flac", "long.flac"):
        one, other = (tmp_path / f"{p}-out" / name for p in ("codes", "codes.npz"))
        assert one.read_bytes() == other.read_bytes()


def test_a_batch_decodes_like_each_alone(command, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(5):
        soundfile.write(tmp_path / "in" / f"{number}.wav", tone(0.5 + 0.13 * number), RATE)
    command("encode", "in", "-t", "stairs", "-o", "codes")
    command("decode", "codes", "-o", "out")
    part = Stairs(StairsOptions())
    for row in TokenStore.open(tmp_path / "codes").rows():
        wav, lengths = part.decode(row.alone(part.spec))
        back, _ = soundfile.read(tmp_path / "out" / f"{row.id}.flac", dtype="float32")
        assert len(back) == int(lengths[0])
        np.testing.assert_allclose(back, wav[0].numpy(), atol=2**-14)


def store(folder: Path, rows: list[StoredCodes], spec: CodeSpec, made_by: dict | None) -> Path:
    kept = TokenStore.create(folder, spec, "f", made_by)
    with kept.writer() as writer:
        for row in rows:
            writer.add(row)
    return folder


def test_what_cannot_be_decoded_is_refused_in_one_line(command, tmp_path: Path) -> None:
    spec, stairs = CodeSpec(RATE, HOP, (16,) * 3), {"part": "stairs", "options": {}}
    row = StoredCodes("x", np.array([[1], [2], [3]]))
    store(tmp_path / "silent", [row], spec, None)
    store(tmp_path / "rate", [row], CodeSpec(16000, HOP, (16,) * 3), stairs)
    store(tmp_path / "fewer", [StoredCodes("x", row.codes[:2])], CodeSpec(RATE, HOP, (16,) * 2),
          stairs)  # fmt: skip
    store(tmp_path / "large", [StoredCodes("x", row.codes + 13)], CodeSpec(RATE, HOP, (17,) * 3),
          stairs)  # fmt: skip
    header = tmp_path / "large" / "_header.json"
    header.write_text(header.read_text().replace("17", "16"))
    store(tmp_path / "astray", [StoredCodes("../y", row.codes)], spec, stairs)
    store(tmp_path / "units", [row], spec, {"part": "mel-km", "options": {}})
    reasons = {
        ("silent",): "does not say what made its codes: give -t or --from",
        ("rate",): "rate: these codes are of another kind than the tokenizer's: sample_rate 16000, "
        "wanted 8000",
        ("fewer",): "codebook_sizes [16, 16], wanted [16, 16, 16]",
        ("large",): "codes of 'x' lie outside codebooks of (16, 16, 16)",
        ("astray",): "the id '../y' leads out of this folder",
        ("units",): "tokenizer 'mel-km' has no decoder: give --vocoder",
        ("silent", "-t", "mel-km"): "tokenizer 'mel-km' has no decoder",
        ("silent", "--vocoder", "griffin-lim"): "griffin-lim needs frames of a multiple of",
        ("nowhere",): "nowhere: no token store here",
        ("nowhere.npz",): "no such archive of codes",
    }
    for words, reason in reasons.items():
        done = command("decode", *words, "-o", "out")
        assert done.returncode == 2, words
        line = done.stderr.splitlines()[-1]
        assert line.startswith("error: ")
        assert reason in line
        assert not list(tmp_path.rglob("*.flac"))
    done = command("decode", "silent", "-t", "stairs", "-o", "out")
    assert done.returncode == 0
    assert done.stderr.startswith("warning: silent: made by another tokenizer, or with other")
    done = command("decode", "fewer", "codebooks=2", "-o", "out2")
    assert done.returncode == 0, "what is changed on the command line counts"


def test_a_copy_is_heard_and_accounted_for(command, coded: Path, tmp_path: Path) -> None:
    done = command("resynth", "in/deep/short.wav", "-t", "stairs", "-o", "copy.wav", "codebooks=2")
    assert done.returncode == 0, done.stderr
    facts = {line[:11].strip(): line[12:] for line in done.stdout.splitlines()}
    assert facts["frame rate"] == "200 Hz"
    assert facts["codebooks"] == "2 x 16"
    assert facts["bit rate"] == "1600 bits per second"
    assert facts["sounds"] == "1, 1.0 s"
    # 8024 samples become 201 frames of 40
    assert facts["duration"] == "off by +2.0 ms"
    assert float(facts["real time"].removeprefix("factor ")) > 0
    back, _ = soundfile.read(tmp_path / "copy.wav")
    given = read_audio(tmp_path / "in" / "deep" / "short.wav", RATE)
    assert np.abs(means(back) - means(given)).max() < 16**-2 + 2**-15
    done = command("resynth", "in", "-t", "stairs", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert "2, 36.0 s" in done.stdout
    assert len(soundfile.read(tmp_path / "out" / "long.flac")[0]) == 35 * RATE


def test_units_are_copied_through_a_vocoder(command, tmp_path: Path) -> None:
    tokenizer = build("tokenizer", "mel-km", {"clusters": 20})
    tokenizer.fit(glides(16000, seed) for seed in range(3))
    vocoder = build("vocoder", "griffin-lim", {"rounds": 2}, spec=tokenizer.spec)
    wav, lengths = glides(16000)
    vocoder.fit([(tokenizer.encode(wav, lengths), wav, lengths)])
    for name, part in (("tokenizer", tokenizer), ("vocoder", vocoder)):
        origin = part.origin
        save_part(part, tmp_path / name, origin.shelved, origin.options, origin.given)
    soundfile.write(tmp_path / "a.wav", wav[0].numpy(), 16000)
    words = ("resynth", "a.wav", "--from", "tokenizer")
    done = command(*words, "-o", "copy.wav")
    assert done.returncode == 2
    assert "has no decoder: give --vocoder" in done.stderr
    done = command(*words, "-o", "copy.wav", "--vocoder", "vocoder")
    assert done.returncode == 0, done.stderr
    assert "50 Hz" in done.stdout
    assert len(soundfile.read(tmp_path / "copy.wav")[0]) == 16000
    command("encode", "a.wav", "--from", "tokenizer", "-o", "codes")
    done = command("decode", "codes", "--vocoder", "vocoder", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert (soundfile.read(tmp_path / "out" / "a.flac")[0]
            == soundfile.read(tmp_path / "copy.wav")[0]).all()  # fmt: skip
    done = command("encode", "a.wav", "--from", "vocoder", "-o", "codes")
    assert done.returncode == 2
    assert "holds a vocoder, not a tokenizer" in done.stderr


def test_blocks_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken():
        yield np.full(10, 0.5, np.float32)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_blocks(tmp_path / "a.wav", broken(), RATE)
    assert list(tmp_path.iterdir()) == []
    blocks = [np.full(10, 0.5), np.zeros(0), np.full(7, 2.0)]
    assert write_blocks(tmp_path / "a.flac", blocks, RATE) == 17
    back, _ = soundfile.read(tmp_path / "a.flac")
    np.testing.assert_allclose(back, [0.5] * 10 + [1.0] * 7, atol=2**-14)


def test_the_header_of_a_store_says_what_made_it(coded: Path) -> None:
    header = json.loads((coded / "_header.json").read_text())
    assert header["made_by"]["part"] == "stairs"
    assert header["made_by"]["options"]["codebooks"] == 3
    assert torch.equal(
        TokenStore.open(coded).row("long").alone(Stairs(StairsOptions()).spec).lengths,
        torch.tensor([35 * RATE // HOP]),
    )
