"""The stage `benchmark`: what `slmkit bench slmtokbench` does, with the parts of a recipe."""

from __future__ import annotations

from pathlib import Path

from slmkit.api import Result, StageContext, StageError
from slmkit.benchmark.asking import asked
from slmkit.benchmark.candidate import Candidate, choice_of
from slmkit.benchmark.measuring import Report, measure
from slmkit.benchmark.row import Value
from slmkit.benchmark.row_file import read_row
from slmkit_benchmark.plugin import BenchmarkOptions


class ContextWatch:
    """Shows through a stage's context how the benchmark goes on."""

    def __init__(self, context: StageContext) -> None:
        self.say = context.say
        self.progress = context.progress


def benchmark(options: BenchmarkOptions, context: StageContext) -> None:
    """Measure the tokenizers; a broken stage goes on. Raises StageError where not all could be
    measured; what could lies in the stage's folder."""
    data = options.data
    if data == "corpus":
        data = str(context.read("manifest") / "manifest.jsonl")
    candidates = [
        Candidate(slot, choice_of(context.part(slot), context.find(slot)))
        for slot in options.tokenizers
    ]
    request = asked(
        candidates,
        data=options.protocol if data == "protocol" else data,
        output=context.folder,
        protocol=options.protocol,
        root=None if options.root is None else Path(options.root),
        vocoder=None
        if options.vocoder is None
        else choice_of(context.part(options.vocoder), context.find(options.vocoder)),
        jobs=options.jobs or None,
    )
    report: Report = measure(request, ContextWatch(context))
    for line in report.absent:
        context.say(f"not measured: {line}")
    for path in report.rows:
        context.result(*_results(path, several=len(candidates) > 1))
    if report.failed:
        raise StageError(f"not all could be measured: {'; '.join(report.failed)}")


def _results(path: Path, several: bool) -> list[Result]:
    """The values of a row as those of a run; the selection of codebooks stands for the split."""
    row = read_row(path)
    found = []
    for key, value in row.values.items():
        if isinstance(value, Value):
            metric, _, selection = key.rpartition("/")
            name = f"{row.tokenizer.name}/{metric}" if several else metric
            found.append(
                Result(
                    name, selection, value.value, value.low, value.high, value.n, value.unit,
                    value.direction,
                )
            )  # fmt: skip
    return found
