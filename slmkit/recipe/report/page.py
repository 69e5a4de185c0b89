"""The page itself: what a run's files say, as one HTML file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from slmkit.api import DataError
from slmkit.data.atomic import write_atomically
from slmkit.drawing.tables import results_parts
from slmkit.recipe.report import figures
from slmkit.recipe.report.run_files import BLOCKS_FILE, RunFiles, read_run
from slmkit.recipe.report.shell import table, whole_page
from slmkit.training.curves import curves_of

REPORT_FILE = "report.html"


def write_report(run: Path) -> Path:
    """Write `report.html` into a run's folder; its path. Raises DataError for a broken block."""
    files = read_run(run)
    about = files.about
    body = [
        _head(about),
        _results(files.rows),
        *_blocks(files),
        _curves(run, about),
        _stages(about),
        _recipe(about),
        _machine(about),
    ]
    page = whole_page(f"{about['name']} · slmkit", body)
    write_atomically(run / REPORT_FILE, page.encode())
    return run / REPORT_FILE


def _head(about: Mapping[str, Any]) -> str:
    profile = f", profile {about['profile']}" if about.get("profile") else ""
    summary = about["recipe"].get("summary", "")
    took = duration(about["seconds"])
    return (
        f"<header><h1>{escape(str(about['name']))}</h1><p>{escape(str(summary))}</p>"
        f"<p>{escape(str(about['started'])[:16].replace('T', ' '))} UTC{escape(profile)}, "
        f"{len(about['stages'])} stages, {took}</p></header>"
    )


def _results(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    return (
        '<section id="results"><h2>Results</h2><p>Value, 95% bootstrap interval, number of items.'
        f"</p>{table('Results', *results_parts(rows))}</section>"
    )


def _blocks(run: RunFiles) -> Iterator[str]:
    """The sections that stages left."""
    for folder, block in run.blocks():
        drawn = {"sounds": _sounds, "table": _table, "figure": _image}.get(str(block.get("type")))
        if drawn is None:
            raise DataError(
                f"{folder / BLOCKS_FILE}: a block is sounds, table or figure, not "
                f"{block.get('type')!r}"
            )
        note = f'<p class="note">{escape(block["note"])}</p>' if block.get("note") else ""
        title = escape(str(block["title"]))
        yield f"<section><h2>{title}</h2>{note}{drawn(block, folder)}</section>"


def _sounds(block: Mapping[str, Any], folder: Path) -> str:
    cards = []
    for row in block["rows"]:
        texts = "".join(
            f"<dt>{escape(label)}</dt><dd>{'–' if text is None else escape(str(text))}</dd>"
            for label, text in row["texts"].items()
        )
        players = "".join(
            f'<div class="sound">{escape(label)}</div><audio controls preload="metadata" '
            f'aria-label="{escape(label)} of {escape(row["title"])}" '
            f'src="{figures.carry_sound(folder / path)}"></audio>'
            for label, path in row["sounds"].items()
        )
        shown = row.get("spectrogram")
        picture = ""
        if shown in row["sounds"]:
            picture = figures.draw_spectrogram(folder / row["sounds"][shown], escape(shown))
        title = escape(row["title"])
        cards.append(
            f'<article class="card"><h3>{title}</h3><dl>{texts}</dl>{players}{picture}</article>'
        )
    return f'<div class="cards">{"".join(cards)}</div>'


def _table(block: Mapping[str, Any], folder: Path) -> str:
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in block["columns"])
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(str(value))}</td>" for value in row) + "</tr>"
        for row in block["rows"]
    )
    return table(str(block["title"]), head, rows)


def _image(block: Mapping[str, Any], folder: Path) -> str:
    source = figures.carry_image(folder / block["image"])
    return f'<img alt="{escape(str(block["title"]))}" src="{source}">'


def _curves(run: Path, about: Mapping[str, Any]) -> str:
    drawn = []
    for stage in about["stages"]:
        curves = curves_of(run / stage["folder"])
        if curves:
            drawn.append(f'<div class="card">{figures.draw_curves(stage["stage"], curves)}</div>')
    if not drawn:
        return ""
    return f'<section><h2>Learning curves</h2><div class="cards">{"".join(drawn)}</div></section>'


def _stages(about: Mapping[str, Any]) -> str:
    lines = "".join(
        f'<tr><th scope="row">{escape(stage["stage"])}</th><td>{escape(stage["part"])}</td>'
        f"<td>{escape(str(stage.get('status')))}</td>"
        f'<td class="number">{duration(stage.get("seconds") or 0)}</td>'
        f'<td class="number">{(stage.get("peak_memory") or 0) / 1e9:.2f} GB</td></tr>'
        for stage in about["stages"]
    )
    head = (
        '<th scope="col">stage</th><th scope="col">part</th><th scope="col">status</th>'
        '<th scope="col" class="number">time</th><th scope="col" class="number">peak memory</th>'
    )
    return f"<section><h2>Stages</h2>{table('Stages', head, lines)}</section>"


def _recipe(about: Mapping[str, Any]) -> str:
    import yaml

    text = yaml.safe_dump(about["recipe"], sort_keys=False, width=96)
    return (
        "<section><h2>Recipe</h2><details><summary>as it was resolved</summary>"
        f"<pre>{escape(text)}</pre></details></section>"
    )


def _machine(about: Mapping[str, Any]) -> str:
    facts = {**about["machine"], **about["versions"]}
    lines = "".join(
        f"<dt>{escape(str(name))}</dt><dd>{escape(_plain(value))}</dd>"
        for name, value in facts.items()
    )
    return f"<section><h2>Machine and versions</h2><dl>{lines}</dl></section>"


def _plain(value: Any) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


def duration(seconds: float) -> str:
    """A time for people."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
