"""The leaderboard as one HTML file that needs no other and no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from slmkit.benchmark.published import Published
from slmkit.benchmark.site.table import section
from slmkit.benchmark.site.wording import BETTER, LEGEND
from slmkit.benchmark.standing import Table, titles
from slmkit.recipe.report.shell import table, whole_page

HERE = Path(__file__).parent
TITLE = "SLMTokBench leaderboard"


def page(tables: Sequence[Table], papers: Sequence[Published]) -> str:
    """The page of measured tables, and of figures that others published."""
    rows = len({line.row.hash for found in tables for line in found.lines})
    body = [
        f"<header><h1>{TITLE}</h1><p>{rows} measured tokenizers. Those of other protocols, data "
        f"or judges never share a table: their figures cannot be compared.</p>"
        f"<p>{LEGEND}</p></header>",
        *(
            section(found, number, title)
            for number, (found, title) in enumerate(zip(tables, titles(tables), strict=True), 1)
        ),
        *(_published(paper, number) for number, paper in enumerate(papers, 1)),
    ]
    style, script = (HERE / name for name in ("board.css", "board.js"))
    return whole_page(f"{TITLE} · slmkit", body, style.read_text(), script.read_text())


def _published(paper: Published, number: int) -> str:
    head = '<th scope="col">tokenizer, codebooks</th>' + "".join(
        f'<th scope="col" class="number"><span>{escape(name)}</span><small aria-hidden="true">'
        f"{escape(f'{unit} · ' if unit else '')}{BETTER[direction][0]}</small>"
        f'<span class="unseen"> {escape(unit)}, {BETTER[direction][1]}</span></th>'
        for name, unit, direction in paper.metrics
    )
    lines = "".join(
        f'<tr><th scope="row">{escape(name)} <span class="books">{escape(selection)}</span></th>'
        + "".join(f'<td class="number">{_figure(value)}</td>' for value in values)
        + "</tr>"
        for name, selection, values in paper.rows
    )
    name = f"published-{number}"
    return (
        f'<section class="published" id="{name}">'
        f"<h2>{escape(paper.title)}</h2>"
        f'<p class="note">As published, not measured here, and not ranked with what was. '
        f"{escape(paper.note)} Source: {escape(paper.source)}.</p>{table(paper.title, head, lines)}"
        f"</section>"
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else str(value)
