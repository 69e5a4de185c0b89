"""The published orderings, on the small protocol: `python -m benchmarks.slmtokbench [ROWS]`.

Reads the rows of a semantic, a unified and an acoustic tokenizer (default
`benchmarks/leaderboard/rows`) that `slmkit bench slmtokbench` wrote. It measures nothing.
Differences are paired: a bootstrap over the utterances that both tokenizers were asked.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.rows import Row, publish
from slmkit.benchmark.row import Value
from slmkit.benchmark.standing import Line, find_rows, read_rows, tables
from slmkit.data.intervals import paired_difference

ROWS = Path(__file__).parent / "leaderboard" / "rows"
KINDS = {
    "mel-km-mini": "semantic", "speechtokenizer-mini": "unified", "encodec-mini": "acoustic",
}  # fmt: skip
Lines = dict[tuple[str, str], Line]


def lines_of(rows: Path) -> Lines:
    """Kind and selection of codebooks -> line, of the table in which all three stand."""
    read, faults = read_rows(find_rows([rows]))
    if faults:
        sys.exit(faults[0])
    for table in tables(read.values()):
        names = {row.tokenizer.name for row in table.rows}
        if names >= KINDS.keys() and not table.whole:
            return {
                (KINDS[line.row.tokenizer.name], line.selection): line
                for line in table.lines
                if not line.reference and line.row.tokenizer.name in KINDS
            }
    sys.exit(f"{rows}: no table in which {', '.join(KINDS)} stand together")


def difference(lines: Lines, metric: str, one: tuple[str, str], other: tuple[str, str]) -> Row:
    """One tokenizer's value less another's."""
    ours, theirs = lines[one].items(metric), lines[other].items(metric)
    shared = sorted(ours.keys() & theirs.keys())
    value = paired_difference([ours[id] for id in shared], [theirs[id] for id in shared])
    known = lines[one].get(metric)
    assert isinstance(known, Value)
    names = " less ".join(f"{kind} {books}" for kind, books in (one, other))
    return Row(f"{metric}: {names}", value[0], known.unit, 0, "at least", *value[1:], len(shared))


def values(lines: Lines) -> Iterator[Row]:
    """Each tokenizer's own figures of the paper's table."""
    for (kind, books), line in sorted(lines.items()):
        for metric in ("mutual-information", "probe-wer", "wer", "similarity"):
            value = line.get(metric)
            if isinstance(value, Value):
                yield Row(f"{metric}: {kind} {books}", value.value, value.unit,
                          low=value.low, high=value.high, n=value.n)  # fmt: skip


def controls(lines: Lines) -> Iterator[Row]:
    """What the estimator makes of shuffled pairs."""
    for (kind, books), line in sorted(lines.items()):
        true, shuffled = (line.get(f"mutual-information{end}") for end in ("", "-shuffled"))
        assert isinstance(true, Value)
        assert isinstance(shuffled, Value)
        share = 100 * shuffled.value / true.value
        yield Row(f"shuffled pairs, share of the information: {kind} {books}", share, "%", 5)


def orderings(lines: Lines) -> Iterator[Row]:
    """The published order of the three kinds."""
    semantic, unified, acoustic = (("semantic", "1"), ("unified", "1"), ("acoustic", "1"))
    yield difference(lines, "mutual-information", semantic, unified)
    yield difference(lines, "mutual-information", unified, acoustic)
    yield difference(lines, "probe-wer", unified, semantic)
    yield difference(lines, "probe-wer", acoustic, unified)
    yield difference(lines, "similarity", ("acoustic", "1:8"), ("unified", "1:8"))
    yield difference(lines, "similarity", ("unified", "1:8"), semantic)
    yield difference(lines, "wer", acoustic, unified)
    yield difference(lines, "wer", acoustic, semantic)


def main() -> None:
    lines = lines_of(Path(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
    rows = [*values(lines), *orderings(lines), *controls(lines)]
    publish("slmtokbench", rows, "python -m benchmarks.slmtokbench")


if __name__ == "__main__":
    main()
