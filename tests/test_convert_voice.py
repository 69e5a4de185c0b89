"""`slmkit convert-voice`: the first codebook of one sound with the others of another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from toy_codec import StairsOptions
from toy_stairs import Stairs

from slmkit.api import Codes, CodeSpec, MisfitError
from slmkit.codecs.conversion import convert_voice

SPEC = CodeSpec(8000, 40, (16, 16, 16))


def codes(first: list[int], second: list[int], third: list[int]) -> Codes:
    return Codes.pad([torch.tensor([first, second, third])], SPEC)


def test_the_reference_goes_round_in_a_circle() -> None:
    source = codes([1, 2, 3, 4, 5], [0] * 5, [0] * 5)
    found = convert_voice(source, codes([9, 9], [6, 7], [8, 9]))
    assert found.values[0].tolist() == [[1, 2, 3, 4, 5], [6, 7, 6, 7, 6], [8, 9, 8, 9, 8]]
    assert found.lengths.tolist() == [5]


def test_a_longer_reference_is_cut_and_padding_is_not_heard() -> None:
    long = codes([9] * 4, [4, 5, 6, 7], [8, 9, 10, 11])
    source = Codes(torch.ones(1, 3, 6).long(), torch.tensor([3]), SPEC)
    assert convert_voice(source, long).values[0].tolist() == [[1, 1, 1], [4, 5, 6], [8, 9, 10]]
    padded = Codes(torch.nn.functional.pad(long.values, (0, 3)), long.lengths, SPEC)
    assert torch.equal(convert_voice(padded, padded).values, long.values)


def test_what_has_no_voice_to_exchange_is_refused() -> None:
    one = Codes.pad([torch.tensor([[1]])], CodeSpec(8000, 40, (16,)))
    with pytest.raises(MisfitError, match="one codebook"):
        convert_voice(one, one)
    with pytest.raises(MisfitError, match="codebook_sizes"):
        convert_voice(codes([1], [1], [1]), one)
    with pytest.raises(MisfitError, match="no frame"):
        convert_voice(codes([1], [1], [1]), codes([], [], []))


def test_the_command_speaks_the_exchanged_codes(command, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for name, samples in (("a", 1000), ("b", 300)):
        soundfile.write(tmp_path / f"{name}.wav", draw.uniform(-0.9, 0.9, samples), 8000, "FLOAT")
    words = ("convert-voice", "a.wav", "b.wav", "-o", "c.wav")
    done = command(*words, "-t", "stairs")
    assert done.returncode == 0, done.stderr
    part = Stairs(StairsOptions())
    coded = [
        part.encode(torch.from_numpy(wav)[None], torch.tensor([len(wav)]))
        for wav, _ in (soundfile.read(tmp_path / f, dtype="float32") for f in ("a.wav", "b.wav"))
    ]
    expected = part.decode(convert_voice(*coded))[0][0].numpy()
    heard, rate = soundfile.read(tmp_path / "c.wav", dtype="float32")
    assert rate == 8000
    np.testing.assert_allclose(heard, expected, atol=2**-14)
    done = command(*words, "-t", "stairs", "codebooks=1")
    assert (done.returncode, "one codebook" in done.stderr) == (2, True)
    done = command(*words, "-t", "mel-km")
    assert (done.returncode, "has no decoder" in done.stderr) == (2, True)
