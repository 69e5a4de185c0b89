"""Bars of zero-shot text to speech: `python -m benchmarks.tts [RUN ...]`.

Reads finished runs of the recipes `uslm`, one a seed, and `zero-shot-tts` (default `runs/uslm*` and
`runs/zero-shot-tts`). Of several seeds the worst counts; times are those of the run named first. It
trains nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.rows import Row, publish
from benchmarks.speechgpt import Results, measured, results_of
from slmkit.data.intervals import paired_difference

DESIGNS = ("acoustic", "hierarchical", "unified")


def about(run: Path) -> dict[str, Any]:
    """What a run says of itself."""
    told: dict[str, Any] = json.loads((run / "run.json").read_text())
    return told


def worst(rows: Sequence[Row]) -> Row:
    """Of one figure in the runs of several seeds, the furthest on its bad side."""
    sign = -1 if rows[0].sense == "at least" else 1
    return max(rows, key=lambda row: sign * row.value)


def of_seeds(runs: Sequence[Path]) -> Iterator[Row]:
    """The recipe `uslm`: the worst of its seeds, and the times of the first."""
    seconds = sum(stage["seconds"] for stage in about(runs[0])["stages"])
    yield Row("uslm: training and evaluation after the install", seconds / 60, "min", 20)
    found: dict[str, list[Row]] = {}
    for run in runs:
        for row in uslm(run):
            found.setdefault(row.what, []).append(row)
    for what, rows in found.items():
        timed = any(word in what for word in ("factor", "throughput", "first sound"))
        ends = f", worst of {len(rows)} seeds" if len(rows) > 1 and not timed else ""
        yield replace(rows[0] if timed else worst(rows), what=what + ends)


def uslm(run: Path) -> Iterator[Row]:
    """One run of it: what is said, in whose voice, how fast."""
    results = results_of(run)
    yield from measured(results, "uslm: WER, known voices", "wer", "test", 15)
    yield from measured(results, "uslm: WER of the copies", "wer/copy", "test", None)
    new = "new-voice/wer"
    yield from measured(results, "uslm: WER, a new voice", new, "test-voice", None)
    nearer = "nearer-to-prompt"
    yield from measured(
        results, "uslm: nearer to the prompt, known voices", nearer, "test", 90, "at least"
    )
    what = "uslm: nearer to the prompt, copies"
    yield from measured(results, what, f"{nearer}/copy", "test", None, "at least")
    yield from unprompted(run)
    yield from measured(results, "uslm: failures", "failed", "test", 2)
    yield from measured(results, "uslm: real-time factor", "real-time-factor", "test", 0.5)
    yield from together(results)
    chunks = "chunks/wer"
    yield from measured(results, "uslm: WER, refined every half second", chunks, "test", None)
    for name in ("", "chunks/"):
        what = f"uslm: first sound{', refined every half second' if name else ''}"
        yield from measured(results, what, f"{name}first-frames", "test", None)


def unprompted(run: Path) -> Iterator[Row]:
    """How much nearer to its prompts a model comes than when it does not hear them."""
    stages = about(run)["stages"]
    if all(each["stage"] != "say-unprompted" for each in stages):
        print(f"not measured in {run}: the model without a prompt")
        return
    heard, deaf = (scores(run, stages, stage) for stage in ("say", "say-unprompted"))
    ids = sorted(heard.keys() & deaf.keys())
    value, low, high = paired_difference([heard[id] for id in ids], [deaf[id] for id in ids])
    what = "uslm: similarity above that of the model without a prompt"
    yield Row(what, value, "", 0, "at least", low, high, len(ids))


def together(results: Results) -> Iterator[Row]:
    """Eight texts at once beside one after the other."""
    alone, eight = (results[f"throughput/batch-{size}", "test"]["value"] for size in (1, 8))
    yield Row("uslm: batch of eight, times the throughput of one", eight / alone, "x", 3,
              "at least", n=results["throughput/batch-8", "test"]["n"])  # fmt: skip


def scores(
    run: Path, stages: Sequence[dict[str, Any]], stage: str
) -> dict[str, tuple[float, float]]:
    """Each text's likeness to its prompt."""
    (folder,) = (run / each["folder"] for each in stages if each["stage"] == stage)
    items = json.loads((folder / "items.json").read_text())
    return {each["id"]: tuple(each["scores"]["similarity"]) for each in items}


def designs(run: Path) -> Iterator[Row]:
    """The recipe `zero-shot-tts`: three designs of tokens at equal steps."""
    results = results_of(run)
    split = next(split for metric, split in results if metric == "unified/wer")
    for name in DESIGNS:
        for metric in ("wer", "wer/copy", "similarity"):
            yield from measured(results, f"{name}: {metric}", f"{name}/{metric}", split, None)
        for voices, bar in (("known-voices", 90), ("new-voices", 75)):
            row, what = f"{name}/nearer-to-prompt/{voices}", f"{name}: nearer to the prompt"
            due = bar if name == "unified" else None
            yield from measured(results, f"{what}, {voices}", row, split, due, "at least")
    for other in ("acoustic", "hierarchical"):
        pair = f"{other}-less-unified/wer"
        bar = 0 if other == "acoustic" else None
        yield from measured(results, f"WER, {other} less unified", pair, split, bar, "at least")


def main() -> None:
    usual = [*sorted(Path("runs").glob("uslm*")), Path("runs/zero-shot-tts")]
    given = [Path(name) for name in sys.argv[1:]] or usual
    finished = [run for run in given if (run / "results.json").exists()]
    seeds = [run for run in finished if about(run)["name"] == "uslm"]
    if not seeds:
        sys.exit("no finished run: slmkit run recipes/uslm.yaml")
    rows = list(of_seeds(seeds))
    for run in finished:
        if about(run)["name"] == "zero-shot-tts":
            rows += designs(run)
    publish("tts", rows, "python -m benchmarks.tts")


if __name__ == "__main__":
    main()
