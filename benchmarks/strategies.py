"""Decoding strategies at equal steps: `python -m benchmarks.strategies [RUN ...]`.

Reads finished runs of `recipes/decoding-strategies.yaml`, one a seed (default
`runs/decoding-strategies*`). It trains nothing.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.rows import Row, publish
from benchmarks.speechgpt import Results, results_of
from slmkit.data.intervals import T

STRATEGIES = ("flat", "coarse-first", "parallel", "delay", "depth", "ar-nar", "soundstorm")
FIGURES = {
    "similarity": "similarity to the prompt",
    "failed": "failures",
    "steps-per-second": "steps for a second of sound",
    "first-frames": "first frames",
    "real-time-factor": "real-time factor",
    "weights/head": "weights of the head",
    "weights/refiner": "weights of the refiner",
    "cache": "cache",
}
"""Of each, the mean over the seeds is told."""


def rows_of(name: str, seeds: Sequence[Results]) -> Iterator[Row]:
    """What one strategy came to in each of the runs."""
    heard = [results[f"{name}/wer", "test"] for results in seeds]
    worst = max(heard, key=lambda row: row["value"])
    title = f"WER, worst of {len(seeds)} seeds"
    yield Row(title, worst["value"], worst["unit"], low=worst["low"], high=worst["high"],
              n=worst["n"], of=name)  # fmt: skip
    if len(seeds) > 1:
        errors = [row["value"] for row in heard]
        mean, half = statistics.mean(errors), spread(errors)
        yield Row("WER, mean of seeds", mean, "%", low=mean - half, high=mean + half, of=name)
    for metric, title in FIGURES.items():
        rows = [results.get((f"{name}/{metric}", "test")) for results in seeds]
        found = [row for row in rows if row is not None]
        if found:
            mean = statistics.mean(row["value"] for row in found)
            yield Row(title, mean, found[0]["unit"], of=name)


def spread(values: Sequence[float]) -> float:
    """Half of the 95% interval of a mean by Student's t."""
    return T[len(values) - 2] * statistics.stdev(values) / len(values) ** 0.5


def main() -> None:
    runs = [Path(name) for name in sys.argv[1:]] or sorted(
        Path("runs").glob("decoding-strategies*")
    )
    seeds = [results_of(run) for run in runs if (run / "results.json").exists()]
    if not seeds:
        sys.exit("no finished run: slmkit run recipes/decoding-strategies.yaml")
    rows = [row for name in STRATEGIES for row in rows_of(name, seeds)]
    publish("strategies", rows, "python -m benchmarks.strategies")


if __name__ == "__main__":
    main()
