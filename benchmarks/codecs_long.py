"""Long files and many files: peak memory of an hour, windows against the whole, a finished folder.

`python -m benchmarks.codecs_long NAME OPTIONS MINUTES` is what `hour` starts in a process of its
own. Letters: b (batch), k (codebook), t (frame), n (sample).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.codecs_speed import Contest, frames_that_differ
from benchmarks.rows import Row
from slmkit.api import Codes
from slmkit.data.audio import write_audio
from slmkit.host import build
from slmkit.recipe.machine import forget_peak_memory, peak_memory
from tests import oracles

BLOCK_S = 10
WHOLE_S = 60
FILES = 1000


def hour(what: str, name: str, values: Mapping[str, Any], minutes: float) -> Iterator[Row]:
    """Peak memory above the model's own, of encoding and of decoding, in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.codecs_long"]
    run = subprocess.run(
        [*command, name, json.dumps(dict(values)), str(minutes)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = json.loads(run.stdout)
    for step in ("encode", "decode"):
        row = f"{what}, {minutes:g} min: {step}, peak memory above the model's own"
        yield Row(row, found[f"{step}_bytes"] / 1e6, "MB", 600)
        speed = 60 * minutes / found[f"{step}_seconds"]
        yield Row(f"{what}, {minutes:g} min: {step}, seconds of sound a second", speed, "s")
    frames = found["frames"]
    apart = abs(found["samples"] - found["expected_samples"])
    yield Row(f"{what}, {minutes:g} min: samples too many or too few", apart, "", 0, n=frames)


def measure(name: str, values: Mapping[str, Any], minutes: float) -> dict[str, float]:
    """Code a long sound that comes in blocks, and speak its codes, block by block."""
    torch.set_num_threads(2)
    part = build("tokenizer", name, values)
    forget_peak_memory()
    own = peak_memory()[0]
    begun = time.perf_counter()
    codes = [codes.values for codes in part.encode_long(blocks(part.spec.sample_rate, minutes))]
    joined = Codes.pad([torch.cat(codes, dim=2)[0]], part.spec)
    found = {"encode_seconds": time.perf_counter() - begun, "frames": joined.values.shape[2]}
    found["encode_bytes"] = peak_memory()[0] - own
    forget_peak_memory()
    begun = time.perf_counter()
    found["samples"] = sum(block.shape[1] for block in part.decode_long(joined))
    found["decode_seconds"] = time.perf_counter() - begun
    found["decode_bytes"] = peak_memory()[0] - own
    found["expected_samples"] = found["frames"] * part.spec.hop_length
    return found


def blocks(sample_rate: int, minutes: float) -> Iterator[Tensor]:
    """A sound of that length in blocks [1, n]: the test sounds again and again, ever louder."""
    joined = torch.cat([wav[0] for wav in oracles.sounds(sample_rate)])
    left, block = round(60 * minutes * sample_rate), BLOCK_S * sample_rate
    level = 0.5
    while left > 0:
        wav = joined.repeat(-(-block // len(joined)))[: min(block, left)]
        yield (level * wav)[None]
        left -= block
        level = 0.5 + (level + 0.07) % 0.5


def against_the_whole(contest: Contest, causal: bool) -> Iterator[Row]:
    """Codes of a minute that comes in blocks, against the package's of the whole at once.

    What is causal has to give the same ones; what is not hears less in its windows.
    """
    part, peer = contest.part, contest.peers[0]
    wav = torch.cat(list(blocks(part.spec.sample_rate, WHOLE_S / 60)), dim=1)
    given = wav.split(round(0.77 * BLOCK_S * part.spec.sample_rate), dim=1)
    ours = torch.cat([codes.values for codes in part.encode_long(iter(given))], dim=2)
    with torch.inference_mode():
        theirs = peer.encode(wav)
    what = f"{contest.name}, {WHOLE_S} s in blocks"
    if ours.shape != theirs.shape:
        raise ValueError(f"{what}: {tuple(ours.shape)} codes, not {tuple(theirs.shape)}")
    if causal:
        with torch.inference_mode():
            counted = contest.differing(wav[0], ours[0], theirs[0])
        against = f"{what}, against {peer.name} in the whole"
        yield from frames_that_differ(against, [counted], theirs.shape[2])
        return
    for books in (1, part.spec.codebooks):
        same = 100 * float((ours[:, :books] == theirs[:, :books]).all(dim=1).double().mean())
        row = f"{what}: frames as by {peer.name} in the whole, first {books} codebook(s)"
        yield Row(row, same, "%", n=theirs.shape[2], peer=peer.name)


def finished_folder(folder: Path) -> Iterator[Row]:
    """A second `slmkit encode` of a folder of 1,000 files, all coded already; median of three."""
    sounds = folder / "sounds"
    sounds.mkdir()
    draw = np.random.default_rng(0)
    for number in range(FILES):
        noise = 0.1 * draw.normal(size=2400 + number).astype(np.float32)
        write_audio(sounds / f"{number:04}.wav", noise, 24000)
    command = [sys.executable, "-m", "slmkit", "encode", str(sounds), "-t", "encodec"]
    command += ["-o", str(folder / "store")]
    seconds = []
    for _ in range(4):
        begun = time.perf_counter()
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds.append(time.perf_counter() - begun)
    if f"{FILES} there already" not in run.stdout:
        raise ValueError(f"the folder was not finished: {run.stdout.strip()}")
    what = f"slmkit encode of a finished folder of {FILES} files, median of 3"
    yield Row(what, statistics.median(seconds[1:]), "s", 2)
    yield Row(f"slmkit encode of {FILES} new files of 0.1 s", seconds[0], "s", n=FILES)


if __name__ == "__main__":
    name, options, minutes = sys.argv[1:]
    print(json.dumps(measure(name, json.loads(options), float(minutes))))
