"""Bars of the small codecs: `python -m benchmarks.mini [SPEECHTOKENIZER_RUN] [ENCODEC_RUN]`.

Reads finished runs of the two recipes, profile `mini`. It trains nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.rows import Row, publish
from benchmarks.speechgpt import Results, measured, results_of
from slmkit.data.intervals import paired_difference

READ = "test-read"
"""Ten speakers of LibriSpeech that are in no batch."""


def of_one(name: str, results: Results) -> Iterator[Row]:
    """What a copy keeps, and what the first codebook holds."""
    yield from measured(results, f"{name}: STOI", "stoi", READ, 0.75, "at least")
    yield from measured(results, f"{name}: similarity", "similarity", READ, 0.80, "at least")
    yield from measured(results, f"{name}: PESQ", "pesq", READ, None)
    usage = [row for (metric, _), row in results.items() if metric.startswith("codebook-usage/")]
    least = min(usage, key=lambda row: row["value"])
    yield Row(
        f"{name}: entries used, least of 8", least["value"], "%", 80, "at least", n=least["n"]
    )
    probe = f"{name}: text read from the first codebook, WER"
    yield from measured(results, probe, "probe-wer", "test", None)


def compared(*runs: Path) -> Iterator[Row]:
    """How much better the text is read that was taught, over the same utterances."""
    words = []
    for run in runs:
        stages = json.loads((run / "run.json").read_text())["stages"]
        (probe,) = (run / stage["folder"] for stage in stages if stage["stage"] == "probe")
        read = json.loads((probe / "probe" / "utterances.json").read_text())["utterances"]
        words.append({each["id"]: tuple(each["words"]) for each in read})
    taught, plain = words
    ids = sorted(taught)
    found = paired_difference([taught[id] for id in ids], [plain[id] for id in ids])
    value, low, high = (100 * figure for figure in found)
    yield Row(
        "WER read, taught less plain", value, "%", 0, "at most", low=low, high=high, n=len(ids)
    )


def main() -> None:
    given = [Path(name) for name in sys.argv[1:]]
    runs = given or [Path("runs/speechtokenizer"), Path("runs/encodec")]
    taught, plain = (results_of(run) for run in runs)
    rows = [*of_one("speechtokenizer-mini", taught)]
    near = "speechtokenizer-mini: exchanged voices nearer to the reference"
    rows += measured(taught, near, "voice-converted", READ, 80, "at least")
    for whose in ("source", "reference"):
        what = f"speechtokenizer-mini: exchanged, WER to the words of the {whose}"
        rows += measured(taught, what, f"known/wer-to-{whose}", "test", None)
    rows += of_one("encodec-mini", plain)
    rows += compared(*runs)
    publish("mini", rows, "python -m benchmarks.mini")


if __name__ == "__main__":
    main()
