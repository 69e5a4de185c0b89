"""Tables of results: metrics down, splits across."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slmkit.api import Result


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A plain table; numbers stand at the right."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    lines = []
    for first, *rest in rows:
        cells = "".join(
            f"<td{' class=number' * isinstance(each, int | float)}>{escape(str(each))}</td>"
            for each in rest
        )
        lines.append(f'<tr><th scope="row">{escape(str(first))}</th>{cells}</tr>')
    return wide(f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody>")


def results_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of `results.json`; parts of a metric (after its second slash) stand below it."""
    splits = list(dict.fromkeys(row["split"] for row in rows))
    metrics: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        metrics.setdefault(row["metric"], {})[row["split"]] = row
    head = "".join(f'<th scope="col" class="number">{escape(split)}</th>' for split in splits)
    lines = []
    for metric, values in metrics.items():
        above, _, last = metric.rpartition("/")
        inner = above in metrics
        better = next(iter(values.values()))["direction"]
        arrow = "↓ lower is better" if better == "lower" else "↑ higher is better"
        name = escape(last if inner else metric)
        cells = "".join(_cell(values.get(split)) for split in splits)
        lines.append(
            f'<tr{" class=part" if inner else ""}><th scope="row">{name}</th>'
            f'<td class="note">{arrow}</td>{cells}</tr>'
        )
    return wide(
        '<thead><tr><th scope="col">metric</th>'
        f'<th scope="col"></th>{head}</tr></thead><tbody>{"".join(lines)}</tbody>'
    )


def result_rows(results: Iterable[Result]) -> list[Mapping[str, Any]]:
    """Results as `results_table` takes them."""
    return [vars(result) for result in results]


def wide(inside: str) -> str:
    """A table that scrolls where a page is narrow."""
    return f'<div class="wide"><table>{inside}</table></div>'


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return '<td class="number">–</td>'
    unit = f" {escape(row['unit'])}" if row["unit"] else ""
    return (
        f'<td class="number">{_figure(row["value"])}{unit}<br><span class="span">'
        f"{_figure(row['low'])} to {_figure(row['high'])}, n = {row['n']}</span></td>"
    )


def _figure(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
