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
    """Rows of `results.json` as a table of its own."""
    head, body = results_parts(rows)
    return wide(f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>")


def results_parts(rows: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The cells of the head and the rows of the body of a table of results: metrics down, splits
    across; parts of a metric (after its second slash) stand below it."""
    splits = list(dict.fromkeys(row["split"] for row in rows))
    metrics: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        metrics.setdefault(row["metric"], {})[row["split"]] = row
    names = "".join(f'<th scope="col" class="number">{escape(split)}</th>' for split in splits)
    head = f'<th scope="col">metric</th><th scope="col">better</th>{names}'
    lines = []
    for metric, values in metrics.items():
        above, _, last = metric.rpartition("/")
        inner = above in metrics
        arrow = better(next(iter(values.values()))["direction"])
        name = escape(last if inner else metric)
        of = f'<span class="unseen"> of {escape(above)}</span>' if inner else ""
        cells = "".join(results_cell(values.get(split)) for split in splits)
        lines.append(
            f'<tr{" class=part" if inner else ""}><th scope="row">{name}{of}</th>'
            f'<td class="better">{arrow}</td>{cells}</tr>'
        )
    return head, "".join(lines)


def result_rows(results: Iterable[Result]) -> list[Mapping[str, Any]]:
    """Results as `results_table` takes them."""
    return [vars(result) for result in results]


def wide(inside: str) -> str:
    """A table that scrolls where a page is narrow."""
    return f'<div class="wide"><table>{inside}</table></div>'


def better(direction: str) -> str:
    """In which direction a metric is better, below a header that says "better"."""
    return "↓ lower" if direction == "lower" else "↑ higher"


def results_cell(row: Mapping[str, Any] | None) -> str:
    """A value with its interval, as a cell of a table."""
    if row is None:
        return '<td class="number">–</td>'
    unit = f" {escape(row['unit'])}" if row["unit"] else ""
    return (
        f'<td class="number">{written(row["value"])}{unit}<br><span class="span">'
        f"{written(row['low'])} to {written(row['high'])}, n = {row['n']}</span></td>"
    )


def written(value: float) -> str:
    """A number with the digits that one reads."""
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
