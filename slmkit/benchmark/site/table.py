"""One table of the page: lines that may be ranked together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape

from slmkit.benchmark.row import SHOWN, Failed, Row, Value
from slmkit.benchmark.significance import Matrix, Standing, matrix, standings
from slmkit.benchmark.site.wording import BETTER, MARKS, figure, interval, shared_n
from slmkit.benchmark.standing import CONTROLS, Line, Table
from slmkit.data.intervals import Difference
from slmkit.recipe.report.shell import wide

UNSEEN = '<span class="unseen">{}</span>'
DIGITS = 3
"""Of differences, as the page's script gets them."""


def section(table: Table, number: int, title: str) -> str:
    """The table with its controls, the differences between its lines, and what was measured."""
    matrices = {metric: matrix(table, metric) for metric in table.metrics}
    name = f"table-{number}"
    settings = "".join(f"<li>{escape(part)}</li>" for part in table.setting)
    return (
        f'<section class="board" id="{name}">'
        f"<h2>{escape(title)}</h2>"
        f'<ul class="setting">{settings}</ul>{_controls(table, title)}'
        f'<p class="status" role="status"></p>{wide(_ranked(table, title, matrices), title)}'
        f"{_differences(table, title, matrices)}{'' if table.whole else _measured(table)}</section>"
    )


def _controls(table: Table, title: str) -> str:
    """For the script; without one the table stands as it is."""
    selections = dict.fromkeys(line.selection for line in table.lines)
    options = "".join(f"<option>{escape(selection)}</option>" for selection in selections)
    boxes = "".join(
        f'<label><input type="checkbox" value="{number}"'
        f"{'' if metric.endswith(CONTROLS) else ' checked'}> {escape(metric)}</label>"
        for number, metric in enumerate(table.metrics, 1)
    )
    unneeded = " hidden" if table.whole else ""
    return (
        f'<div class="controls" hidden><label>Tokenizer <input type="search" class="words" '
        f'placeholder="name or part" autocomplete="off"></label>'
        f'<label{unneeded}>Codebooks <select class="selection"><option value="">all</option>'
        f"{options}</select></label>"
        f'<details class="picker"><summary>Columns</summary><fieldset>'
        f"<legend>Columns of {escape(title)}</legend>{boxes}</fieldset></details></div>"
    )


def _ranked(table: Table, title: str, matrices: Mapping[str, Matrix]) -> str:
    marks = {metric: standings(table, metric, matrices[metric]) for metric in table.metrics}
    head = "".join(_head(table, metric) for metric in table.metrics)
    lines = []
    for place, line in enumerate(table.lines):
        cells = "".join(
            _cell(line, table, metric, marks[metric][place]) for metric in table.metrics
        )
        part = line.row.tokenizer.part
        lines.append(
            f'<tr data-words="{escape(f"{line.name} {part}".lower())}" '
            f'data-selection="{escape(line.selection)}"><th scope="row">'
            f'{escape(line.label)} <span class="books">{escape(line.selection)}</span>'
            f"</th>{cells}</tr>"
        )
    return (
        f'<table class="ranked"><caption class="unseen">{escape(title)}: a line for each '
        f"tokenizer and selection of codebooks, a column for each metric</caption><thead><tr>"
        f'<th scope="col" data-direction="lower"><span>tokenizer, codebooks</span></th>{head}'
        f"</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def _head(table: Table, metric: str) -> str:
    first, n = table.first(metric), shared_n(table, metric)
    if first is None:
        return f'<th scope="col" class="number"><span>{escape(metric)}</span></th>'
    unranked = table.unranked(metric)
    arrow, meaning = (unranked, unranked) if unranked else BETTER[first.direction]
    counted = "" if n is None else f"n = {n}"
    notes = " · ".join(filter(None, [escape(first.unit), arrow, counted]))
    return (
        f'<th scope="col" class="number" data-direction="{first.direction}">'
        f'<span>{escape(metric)}</span><small aria-hidden="true">{notes}</small>'
        f"{UNSEEN.format(f' {escape(first.unit)}, {meaning}, {counted}')}</th>"
    )


def _cell(line: Line, table: Table, metric: str, standing: Standing) -> str:
    value = line.get(metric)
    if value is None:
        return f'<td class="number"><span aria-hidden="true">–</span>{UNSEEN.format("none")}</td>'
    if isinstance(value, Failed):
        return (
            f'<td class="number"><details class="failed"><summary>failed</summary>'
            f"<p>{escape(value.reason)}</p></details></td>"
        )
    sign, meaning = MARKS.get(standing, ("", ""))
    mark = f'<span class="mark" title="{meaning}" aria-hidden="true">{sign}</span> ' if sign else ""
    said = UNSEEN.format(f" ({meaning})") if sign else ""
    notes = [interval(value)]
    if shared_n(table, metric) is None:
        notes.append(f"n = {value.n}")
    below = ", ".join(filter(None, notes))
    return (
        f'<td class="number {standing}" data-value="{value.value!r}">{mark}{figure(value.value)}'
        f'{said}<span class="span">{below}</span></td>'
    )


def _differences(table: Table, title: str, matrices: Mapping[str, Matrix]) -> str:
    """All against all, drawn by the script from what stands here as JSON."""
    compared = [m for m in table.metrics if any(any(line) for line in matrices[m])]
    if not compared:
        return (
            '<p class="note">No rows with values by utterance: no differences could be tested.</p>'
        )
    first = {metric: table.first(metric) for metric in compared}
    data = {
        "lines": [line.name for line in table.lines],
        "metrics": {
            metric: {
                "direction": value.direction,
                "unit": value.unit,
                "cells": [[_rounded(cell) for cell in line] for line in matrices[metric]],
            }
            for metric, value in first.items()
            if isinstance(value, Value)
        },
    }
    options = "".join(f"<option>{escape(metric)}</option>" for metric in compared)
    return (
        f'<details class="differences" hidden><summary>Which differences are real</summary>'
        f'<p class="note">The line less the column, on the utterances of both, with a 95% '
        f"interval; ▲ the line is better, ▼ worse, ≈ not told apart.</p>"
        f"<label>Metric <select>{options}</select></label>"
        f"{wide('', f'differences, {title}')}"
        f'<script type="application/json">{_embedded(data)}</script></details>'
    )


def _rounded(cell: Difference | None) -> Sequence[float] | None:
    if cell is None:
        return None
    numbers = [float(f"{number:.{DIGITS}g}") for number in (cell.value, cell.low, cell.high)]
    return [*numbers, cell.n, int(cell.real)]


def _embedded(data: object) -> str:
    """JSON within a script element, which only `</` could end."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _measured(table: Table) -> str:
    known = {line.row.hash: line for line in table.lines}
    rows = "".join(_provenance(line.label, line.row) for line in known.values())
    return f'<details class="measured"><summary>What was measured</summary>{rows}</details>'


def _provenance(label: str, row: Row) -> str:
    facts = {
        "part": row.tokenizer.part,
        "options": json.dumps(row.tokenizer.options, ensure_ascii=False),
        "weights": row.tokenizer.weights[: 2 * SHOWN],
        "seeds": ", ".join(map(str, row.seeds)),
        "machine": ", ".join(f"{name} {value}" for name, value in row.machine.items() if value),
        "versions": ", ".join(f"{name} {version}" for name, version in row.versions.items()),
        "measured in": f"{row.wall_seconds / 60:.1f} minutes",
        "row": row.hash[: 2 * SHOWN],
    }
    lines = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items() if v)
    return f"<h3>{escape(label)}</h3><dl>{lines}</dl>"
