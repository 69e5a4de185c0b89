"""Vocoders: training beside a plain loop, and speaking in chunks: `python -m benchmarks.vocoder`.

Training on two threads, slmkit's stage and the plain loop in turn, on the same crops; speaking on
one thread. Weights are random, drawn so that a unit is heard.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import vocoder_plain
from benchmarks.rows import Row, publish
from benchmarks.timing import faster_peer, in_turn, threads
from slmkit.api import Codes, CodeSpec, Progress, Vocoder
from slmkit.codecs import hifigan_stream
from slmkit.codecs.decoding_vocoder import as_vocoder
from slmkit.codecs.hifigan import HifiGanSizes, UnitHifiGan
from slmkit.host import build
from slmkit.training.vocoder import CropsOfSteps, Spoken, VocoderTraining, fit_unit_vocoder

SPEC = CodeSpec(16000, 320, (400,))
EMBEDDED = HifiGanSizes(
    400,
    upsample_rates=(5, 4, 4, 4),
    upsample_kernel_sizes=(11, 8, 8, 8),
    upsample_initial_channel=192,
    resblock_kernel_sizes=(3, 7),
    resblock_dilation_sizes=((1, 3), (1, 3)),
)
PUBLISHED = {
    "upsample_rates": [5, 4, 4, 2, 2],
    "upsample_kernel_sizes": [11, 8, 8, 4, 4],
    "upsample_initial_channel": 512,
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilations": [1, 3, 5],
}
PLAIN = "a plain loop"
CHUNK_S = 0.08
SPOKEN_S = 4.0


class Place:
    """What training asks of a stage: a folder and a seed."""

    def __init__(self, folder: str) -> None:
        self.folder, self.seed, self.trainer = Path(folder), 0, {"enable_progress_bar": False}

    @contextmanager
    def progress(self, text: str, total: int | None = None) -> Iterator[Progress]:
        yield lambda done, total=None, text="": None

    def say(self, line: str) -> None:
        """Nobody watches."""


def training(rounds: int) -> Iterator[Row]:
    """The stage beside the plain loop, without and with adversaries."""
    usual = VocoderTraining(steps=30, lr=2e-4, batch=8, frames=32)
    adversarial = replace(usual, steps=4, batch=2, adversarial=1.0, mel=45.0)
    for what, how in {"": usual, ", with adversaries": adversarial}.items():
        crops = CropsOfSteps(noise(), EMBEDDED.hop_length, how, 0)
        works = {"slmkit": stage(how), PLAIN: loop(how, crops)}
        times = in_turn(works, rounds)
        _, ratio = faster_peer(times, "slmkit")
        rate = how.steps / statistics.median(times["slmkit"])
        yield Row(f"training{what}: steps", rate, "/s", n=rounds)
        yield Row(
            f"training{what}: times as fast as {PLAIN}", ratio, "x", 1.0, "at least", n=rounds
        )


def stage(how: VocoderTraining) -> Callable[[], None]:
    """Training as `train-vocoder` does it, from the first step to its last checkpoint."""

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            place: Any = Place(folder)
            fit_unit_vocoder(UnitHifiGan(EMBEDDED), SPEC.sample_rate, noise(), how, place)

    return work


def loop(how: VocoderTraining, crops: CropsOfSteps) -> Callable[[], None]:
    """The same crops through the plain loop."""

    def work() -> None:
        batches = (crops[step] for step in range(how.steps))
        plain = vocoder_plain.PlainGenerator(EMBEDDED)
        vocoder_plain.train(plain, SPEC.sample_rate, batches, how)

    return work


def noise(count: int = 16, frames: int = 100) -> list[Spoken]:
    """Utterances of random units, two frames each."""
    draw = np.random.default_rng(0)
    return [
        Spoken(
            draw.integers(0, 400, frames // 2),
            np.full(frames // 2, 2),
            (0.1 * draw.normal(size=frames * SPEC.hop_length)).astype(np.float32),
        )
        for _ in range(count)
    ]


def streaming(rounds: int) -> Iterator[Row]:
    """Any chunks beside the whole, and the time that chunks of 80 ms take."""
    ours = build("vocoder", "unit-hifigan", spec=SPEC)
    audible(ours.generator)
    codec = build("tokenizer", "encodec", {"kbps": 3.0})
    audible(codec.codec.decoder)
    codec.codec.quantizer.entries.normal_(generator=torch.Generator().manual_seed(0))
    for name, vocoder, spec, bar in (
        ("unit-hifigan", ours, SPEC, 0.3),
        ("EnCodec's decoder", as_vocoder(codec), codec.spec, None),
    ):
        yield Row(f"{name}: error of any chunks", error(vocoder, spec, rounds), "", 1e-5)
        factor = real_time(vocoder, spec, rounds)
        yield Row(f"{name}: real-time factor, 80 ms", factor, "", bar, n=rounds)
    published = build("vocoder", "unit-hifigan", PUBLISHED, spec=SPEC)
    factor = real_time(published, SPEC, rounds)
    yield Row("unit-hifigan, published sizes: real-time factor, 80 ms", factor, "", n=rounds)
    factor = real_time(ours, SPEC, rounds, Overlapping(ours.generator))
    yield Row("unit-hifigan, field computed anew: real-time factor, 80 ms", factor, "", n=rounds)
    for name, vocoder in {"": ours, ", published sizes": published}.items():
        late = hifigan_stream.look_ahead(vocoder.generator.sizes) / SPEC.sample_rate
        yield Row(f"unit-hifigan{name}: sound is late by", 1000 * late, "ms")


class Overlapping:
    """What caches save: each chunk spoken with all that it hears to both sides, and cut out."""

    def __init__(self, generator: UnitHifiGan) -> None:
        self.generator = generator
        self.around = -(-hifigan_stream.look_ahead(generator.sizes) // SPEC.hop_length)

    def speak(self, codes: Codes, size: int) -> None:
        """A whole utterance, chunk by chunk."""
        units = codes.values[:, 0]
        for at in range(0, units.shape[1], size):
            self.generator(units[:, max(0, at - self.around) : at + size + self.around])


def audible(network: nn.Module) -> None:
    """Draw weights of convolutions through which a signal goes as loud as it came."""
    torch.manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.Conv1d | nn.ConvTranspose1d):
            reach = part.kernel_size[0]
            if isinstance(part, nn.ConvTranspose1d):
                reach = max(1, reach // part.stride[0])
            nn.init.normal_(part.weight, 0, (part.in_channels * reach) ** -0.5)


def error(vocoder: Vocoder, spec: CodeSpec, rounds: int) -> float:
    """The furthest that a sample is off, in chunks of one frame and more."""
    draw, worst = random.Random(0), 0.0
    for _ in range(rounds):
        codes = random_codes(spec)
        whole, _ = vocoder.synthesize(codes)
        joined = torch.cat(list(chunks(vocoder, codes, lambda: draw.choice([1, 2, 3, 9]))), dim=1)
        worst = max(worst, float((joined - whole).abs().max()))
    return worst


def real_time(
    vocoder: Vocoder, spec: CodeSpec, rounds: int, other: Overlapping | None = None
) -> float:
    """Seconds that a second takes in chunks of 80 ms, after one round to warm up."""
    codes, size = random_codes(spec), round(CHUNK_S * spec.frame_rate)
    found = []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        if other is None:
            list(chunks(vocoder, codes, lambda: size))
        else:
            other.speak(codes, size)
        found.append((time.perf_counter() - begun) / SPOKEN_S)
    return statistics.median(found[1:])


def chunks(vocoder: Vocoder, codes: Codes, size: Callable[[], int]) -> Iterator[Tensor]:
    """The waves of chunks of these sizes."""
    state, at = vocoder.empty_state(1), 0
    while at < codes.values.shape[2]:
        values = codes.values[:, :, at : at + size()]
        at += values.shape[2]
        some = Codes(values, torch.tensor([values.shape[2]]), codes.spec)
        wav, state = vocoder.step(some, state)
        yield wav
    yield vocoder.finish(state)


def random_codes(spec: CodeSpec) -> Codes:
    """Four seconds."""
    frames, draw = round(SPOKEN_S * spec.frame_rate), torch.Generator().manual_seed(0)
    books = [torch.randint(size, (1, frames), generator=draw) for size in spec.codebook_sizes]
    return Codes(torch.stack(books, dim=1), torch.tensor([frames]), spec)


def main() -> None:
    """Run the chapters and publish their rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dry", action="store_true", help="print the rows and publish nothing")
    given = parser.parse_args()
    rows: list[Row] = []
    with threads(2):
        rows += training(given.rounds)
    with threads(1), torch.inference_mode():
        rows += streaming(given.rounds)
    if given.dry:
        for row in rows:
            print(f"{row.what}: {row.value:.4g} {row.unit}")
        return
    publish("vocoder", rows, "python -m benchmarks.vocoder")


if __name__ == "__main__":
    main()
