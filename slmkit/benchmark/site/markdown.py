"""The leaderboard as Markdown tables, to be read where no browser is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from slmkit.benchmark.published import Published
from slmkit.benchmark.row import Failed
from slmkit.benchmark.significance import Standing, matrix, standings
from slmkit.benchmark.site.wording import BETTER, LEGEND, MARKS, figure, interval
from slmkit.benchmark.standing import Table, titles


def markdown(tables: Sequence[Table], papers: Sequence[Published]) -> str:
    """The tables, failures with their reasons below, and what others published after them."""
    parts = ["# SLMTokBench leaderboard", LEGEND]
    for table, title in zip(tables, titles(tables), strict=True):
        parts += _measured(table, title)
    for paper in papers:
        parts += _published(paper)
    return "\n\n".join(parts) + "\n"


def _measured(table: Table, title: str) -> list[str]:
    heads = []
    for metric in table.metrics:
        first = table.first(metric)
        notes: tuple[str, ...] = ()
        if first:
            notes = (first.unit, table.unranked(metric) or BETTER[first.direction][0])
        heads.append(" ".join(filter(None, (metric, *notes))))
    marks = {m: standings(table, m, matrix(table, m)) for m in table.metrics}
    reasons: list[str] = []
    lines = []
    for place, line in enumerate(table.lines):
        cells = []
        for metric in table.metrics:
            value = line.get(metric)
            if isinstance(value, Failed):
                reasons.append(f"{len(reasons) + 1}. {line.name}, {metric}: {_plain(value.reason)}")
                cells.append(f"failed ({len(reasons)})")
            elif value is None:
                cells.append("–")
            else:
                within = interval(value)
                span = f" ({within})" if within else ""
                cells.append(f"{_marked(figure(value.value), marks[metric][place])}{span}")
        lines.append([line.label, line.selection, *cells])
    parts = [f"## {_plain(title)}", _plain("; ".join(table.setting))]
    parts.append(_table(["tokenizer", "codebooks", *heads], lines))
    return [*parts, "Failed:\n\n" + "\n".join(reasons)] if reasons else parts


def _marked(text: str, standing: Standing) -> str:
    sign, _ = MARKS.get(standing, ("", ""))
    return f"{sign} {f'**{text}**' if standing == 'best' else text}".strip()


def _published(paper: Published) -> list[str]:
    heads = [
        " ".join(filter(None, (name, unit, BETTER[direction][0])))
        for name, unit, direction in paper.metrics
    ]
    lines = [
        [name, selection, *("–" if value is None else str(value) for value in values)]
        for name, selection, values in paper.rows
    ]
    note = f"As published, not measured here, and not ranked with what was. {paper.note} Source:"
    return [
        f"## {_plain(paper.title)}",
        _plain(f"{note} {paper.source}."),
        _table(["tokenizer", "codebooks", *heads], lines),
    ]


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rule = ["---", "---", *("---:" for _ in head[2:])]
    return "\n".join(
        f"| {' | '.join(_plain(cell) for cell in line)} |" for line in (head, rule, *lines)
    )


def _plain(text: str) -> str:
    """A text in which Markdown finds no table, tag or line of its own."""
    for sign in "\\|[":
        text = text.replace(sign, f"\\{sign}")
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return " ".join(text.split())
