"""Bars of the main job: `python -m benchmarks.speechgpt [RUN] [DIGITS_RUN]`.

Reads finished runs (default `runs/speechgpt` and, where it is there, `runs/speechgpt-digits`) and
times the command line. It trains nothing: `make run` does.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from benchmarks.rows import Row, publish

Results = dict[tuple[str, str], dict[str, Any]]
Sense = Literal["at most", "at least"]


def results_of(run: Path) -> Results:
    """The rows of a run by metric and split."""
    rows = json.loads((run / "results.json").read_text())
    return {(row["metric"], row["split"]): row for row in rows}


def measured(
    results: Results,
    what: str,
    metric: str,
    split: str,
    bar: float | None,
    sense: Sense = "at most",
) -> Iterator[Row]:
    """The row of one result against its bar; a result that is not there is said, never made up."""
    row = results.get((metric, split))
    if row is None:
        print(f"not measured in this run: {metric} of {split}")
        return
    yield Row(
        what, row["value"], row["unit"], bar, sense, low=row["low"], high=row["high"], n=row["n"]
    )


def embedded(run: Path) -> Iterator[Row]:
    """The embedded recipe's bars."""
    about = json.loads((run / "run.json").read_text())
    yield Row("training and evaluation after the install", about["seconds"] / 60, "min", 15)
    peak = max(stage.get("peak_memory") or 0 for stage in about["stages"])
    yield Row("peak memory of a stage", peak / 1e9, "GB", 6)
    results = results_of(run)
    wer = "transcription-wer/speech-speech"
    yield from measured(results, "transcription WER, known voices", wer, "test", 3)
    yield from measured(results, "transcription WER, held-out voice", wer, "test-voice", 15)
    exact = "answer-exact/speech-text"
    yield from measured(results, "answer exact, speech in", exact, "test", 90, "at least")
    topics = sorted(m for m, split in results if m.startswith(f"{exact}/") and split == "test")
    for topic in topics:
        what = f"answer exact, speech in: {topic.rsplit('/', 1)[1]}"
        yield from measured(results, what, topic, "test", 75, "at least")
    items = results[exact, "test"]["n"]
    share = min(results[topic, "test"]["n"] for topic in topics) / items
    yield Row("share of the rarest kind of question", 100 * share, "%", 15, "at least", n=items)
    control = "answer-exact/exchanged-audio"
    yield from measured(results, "answer exact, audio exchanged (chance)", control, "test", None)
    heard = "heard-exact/speech-speech"
    yield from measured(results, "right answer heard by the judge", heard, "test", 80, "at least")
    reply = "reply-wer/speech-speech"
    yield from measured(results, "spoken reply WER by the judge", reply, "test", 10)
    for format in ("speech-speech", "text-speech", "text-text"):
        what = f"answer exact, {format}"
        yield from measured(results, what, f"answer-exact/{format}", "test", None)
    yield from vocoders(results)
    yield from measured(results, "judge WER, held-out original audio", "judge-wer", "test", 3)
    control = "judge-wer-mismatched"
    yield from measured(results, "judge WER, wrong text (control)", control, "test", 80, "at least")


def vocoders(results: Results) -> Iterator[Row]:
    """unit-hifigan against griffin-lim on held-out true units."""
    for metric, unit, sense in (("mel-distance", "nats", "at most"), ("stoi", "", "at least")):
        ours = results.get((f"{metric}/vocoder", "test"))
        peer = results.get((f"{metric}/baseline", "test"))
        if ours and peer:
            yield Row(
                f"unit-hifigan {metric} on true units", ours["value"], unit, peer["value"],
                "at most" if sense == "at most" else "at least", ours["low"], ours["high"],
                ours["n"], "griffin-lim", ours["value"] / peer["value"],
            )  # fmt: skip
    ours, peer = results.get(("wer/vocoder", "test")), results.get(("wer/baseline", "test"))
    if ours and peer:
        points = ours["value"] - peer["value"]
        yield Row("unit-hifigan WER above griffin-lim's", points, "points", 3, peer="griffin-lim")


def digits(run: Path) -> Iterator[Row]:
    """The recorded digits' bars."""
    results = results_of(run)
    wer, reply = "transcription-wer/speech-speech", "reply-wer/speech-speech"
    yield from measured(results, "recorded digits: transcription WER", wer, "test", 15)
    yield from measured(results, "recorded digits: spoken reply WER", reply, "test", 25)
    exact = "answer-exact/speech-text"
    yield from measured(results, "recorded digits: answer exact", exact, "test", None)
    yield from measured(results, "recorded digits: judge WER", "judge-wer", "test", None)


def command_line() -> Iterator[Row]:
    """Median of 10 warm starts."""
    script = str(Path(sys.executable).with_name("slmkit"))
    for words, bar in ((["--help"], 0.3), (["list"], 0.6)):
        seconds = median_time(lambda words=words: run_quietly([script, *words]))
        yield Row(f"slmkit {' '.join(words)}, warm, median of 10", seconds, "s", bar)


def run_quietly(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def median_time(work: Callable[[], None]) -> float:
    """Median seconds of ten calls after one to warm up."""
    work()
    times = []
    for _ in range(10):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def main() -> None:
    given = [Path(word) for word in sys.argv[1:]]
    main_run = given[0] if given else Path("runs/speechgpt")
    digits_run = given[1] if len(given) > 1 else Path("runs/speechgpt-digits")
    rows = list(embedded(main_run))
    if (digits_run / "results.json").exists():
        rows += digits(digits_run)
    else:
        print(f"{digits_run}: no finished run on recorded digits; its bars are left out")
    rows += command_line()
    publish("speechgpt", rows, "python -m benchmarks.speechgpt")


if __name__ == "__main__":
    main()
