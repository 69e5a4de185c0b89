"""Generation under each decoding strategy, beside transformers: `python -m benchmarks.decoding`.

Two threads of the processor, float32, greedy, no end; who is compared runs in turn in one process.
Peers run under inference mode, Llama with the faster of its dynamic and its static cache.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.decoding_peers import (
    BOOKS,
    CODES,
    DEEP,
    MINI,
    UNITS,
    csm_of_transformers,
    generate,
    llama_of_transformers,
    model,
    musicgen_of_transformers,
)
from benchmarks.decoding_training import training
from benchmarks.rows import Row, publish
from benchmarks.timing import faster_peer, in_turn, threads
from slmkit.api import CodeSpec, Speech, State, Text
from slmkit.codecs.decoding_vocoder import as_vocoder
from slmkit.generation.loop import steps, stream
from slmkit.generation.sampling import Sampling
from slmkit.generation.speaking import speak
from slmkit.host import build
from slmkit.lm.speechlm import SpeechLM

STEPS, PROMPT = 128, "a prompt of some forty letters, spelt out. "


def flat(rounds: int) -> Iterator[Row]:
    """`flat` with one codebook beside `LlamaForCausalLM.generate` on the same weights."""
    lm = model("flat", spec=UNITS)
    theirs = llama_of_transformers(lm)
    bars = {1: 2.0, 8: 1.3}
    for batch, bar in bars.items():
        grids = [lm.lay([Text(PROMPT)])] * batch
        ids = torch.tensor([lm.vocabulary.encode(PROMPT)] * batch)

        def peer(cache: str, ids: torch.Tensor = ids) -> torch.Tensor:
            made: torch.Tensor = theirs.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=STEPS,
                min_new_tokens=STEPS,
                do_sample=False,
                cache_implementation=cache,
                disable_compile=True,
            )
            return made

        works: dict[str, Callable[[], Any]] = {
            "slmkit": lambda grids=grids: generate(lm, grids, STEPS),
            "transformers, dynamic cache": lambda: peer("dynamic"),
            "transformers, static cache": lambda: peer("static"),
        }
        times = in_turn(works, rounds)
        name, ratio = faster_peer(times, "slmkit")
        mine = statistics.median(times["slmkit"])
        what = f"flat, 26 M Llama, batch {batch}: times as fast as {name}"
        yield Row(what, ratio, "x", bar, "at least", n=rounds)
        yield Row(f"flat, 26 M Llama, batch {batch}: tokens", batch * STEPS / mine, "/s", n=rounds)
        if batch == 1:
            yield from bandwidth(lm, mine / STEPS)


def bandwidth(lm: SpeechLM, seconds: float) -> Iterator[Row]:
    """Bytes that a token has to read over what memory can deliver in its time."""
    block = torch.ones(64 * 1024 * 1024)
    reads = in_turn({"sum": lambda: block.sum()}, 5)["sum"]
    rate = block.numel() * 4 / min(reads)
    weights = sum(p.numel() for p in [*lm.backbone.parameters(), *lm.head.parameters()]) * 4
    middle = lm.empty_state(1, len(PROMPT) + STEPS // 2)
    share = 100 * (weights + size(middle)) / rate / seconds
    yield Row("flat, batch 1: share of the memory's bandwidth", share, "%", 50, "at least")
    yield Row("memory read, the best of five", rate / 1e9, "GB/s")


def delay(rounds: int) -> Iterator[Row]:
    """`delay` beside MusicGen's decoder of the same shape, frames."""
    lm, theirs = model("delay"), musicgen_of_transformers()
    nothing = np.zeros((BOOKS, 0), dtype=np.int64)
    grids = [lm.lay([Speech(nothing, ends=False)])]
    begin = torch.full((BOOKS, 1), CODES)

    def peer() -> Any:
        return theirs.generate(
            begin,
            attention_mask=torch.ones(1, 1, dtype=torch.int64),
            max_new_tokens=STEPS,
            min_new_tokens=STEPS,
            do_sample=False,
            num_return_sequences=1,
            decoder_start_token_id=CODES,
            pad_token_id=CODES,
        )

    works = {"slmkit": lambda: generate(lm, grids, STEPS), "MusicGen of transformers": peer}
    times = in_turn(works, rounds)
    name, ratio = faster_peer(times, "slmkit")
    yield Row(f"delay, {BOOKS} codebooks: times as fast as {name}", ratio, "x", 2.0, "at least")
    frames = STEPS / statistics.median(times["slmkit"])
    yield Row(f"delay, {BOOKS} codebooks: frames", frames, "/s", n=rounds)


def depth(rounds: int) -> Iterator[Row]:
    """`depth` beside CSM of the same shape, frames."""
    books = 8
    lm, theirs = (
        model("depth", DEEP, CodeSpec(24000, 1920, (CODES,) * books)),
        csm_of_transformers(books),
    )
    nothing = np.zeros((books, 0), dtype=np.int64)
    grids = [lm.lay([Speech(nothing, ends=False)])]
    ids = torch.ones(1, 2, dtype=torch.int64)

    def peer() -> Any:
        return theirs.generate(
            input_ids=ids,
            max_new_tokens=STEPS,
            min_new_tokens=STEPS,
            do_sample=False,
            depth_decoder_do_sample=False,
        )

    works = {"slmkit": lambda: generate(lm, grids, STEPS), "CSM of transformers": peer}
    times = in_turn(works, rounds)
    name, ratio = faster_peer(times, "slmkit")
    yield Row(f"depth, {books} codebooks: times as fast as {name}", ratio, "x", 1.5, "at least")
    frames = STEPS / statistics.median(times["slmkit"])
    yield Row(f"depth, {books} codebooks: frames", frames, "/s", n=rounds)


def memory() -> Iterator[Row]:
    """What is held at the end of 4,000 steps beyond that of 500, less their longer cache."""
    lm = model("flat", spec=UNITS)
    grids = [lm.lay([Text("a")])]
    held = []
    for count in (500, 4000):
        gc.collect()
        before, most = resident(), 0
        greedy = Sampling(temperature=0, most=count, least=count)
        for number, _ in enumerate(steps(lm, grids, greedy)):
            if number % 100 == 99:
                most = max(most, resident())
        held.append(most - before - size(lm.empty_state(1, count + 1)))
    grown = (held[1] - held[0]) / 1e6
    yield Row("memory of 4,000 steps over 500, beyond the cache", grown, "MB", 20, "at most")


def size(state: State) -> int:
    """Bytes of a state's tensors."""
    parts = [
        size(v) if isinstance(v, dict) else v.numel() * v.element_size() for v in state.values()
    ]
    return sum(parts)


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


def first_audio(rounds: int) -> Iterator[Row]:
    """From the question to the first samples: mini sizes, EnCodec's decoder by its state, which
    is certain of a sample a few frames late."""
    codec = build("tokenizer", "encodec", {"kbps": 3.0})
    prompt = [Text(PROMPT), Speech(np.zeros((BOOKS, 0), dtype=np.int64), ends=False)]
    for strategy in ("parallel", "delay", "depth"):
        lm = model(strategy, spec=codec.spec, shape=MINI)
        waits = [1000 * first_samples(lm, codec, prompt) for _ in range(rounds + 1)]
        delays = lm.decoding.plan(lm.spec)[0].layout_options["delays"]
        least = 1000 * (max(delays) + 1) / lm.spec.frame_rate
        what = f"{strategy}, mini: first audio (the frames of its delays alone last {least:.0f} ms)"
        bar = None if strategy == "parallel" else 150
        yield Row(what, statistics.median(waits[1:]), "ms", bar, "at most", n=rounds)


def first_samples(lm: SpeechLM, codec: Any, prompt: list[Any]) -> float:
    """Seconds until something sounds."""
    begun = time.perf_counter()
    pieces = stream(lm, prompt, Sampling(temperature=0, most=99, least=99))
    next(speak(pieces, as_vocoder(codec), codec.spec))
    return time.perf_counter() - begun


def main() -> None:
    """Run the chapters and publish their rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    rows: list[Row] = []
    with threads(2), torch.inference_mode():
        for chapter in (flat, delay, depth):
            for row in chapter(rounds):
                print(f"... {row.what}: {row.value:.4g} {row.unit}", flush=True)
                rows.append(row)
        rows += [*memory(), *first_audio(rounds)]
    with threads(2):
        rows += training(min(rounds, 2))
    publish("decoding", rows, "python -m benchmarks.decoding")


if __name__ == "__main__":
    main()
