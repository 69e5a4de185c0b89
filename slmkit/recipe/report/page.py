"""The page itself: what a run's files say, as one HTML file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from slmkit.api import DataError
from slmkit.data.atomic import write_atomically
from slmkit.recipe.folder import RESULTS_FILE, RUN_FILE, read_json
from slmkit.recipe.report import figures
from slmkit.training.curves import curves_of

REPORT_FILE = "report.html"
BLOCKS_FILE = "report.json"


def write_report(run: Path) -> Path:
    """Write `report.html` into a run's folder; its path. Raises DataError for a broken block."""
    about, rows = read_json(run / RUN_FILE), read_json(run / RESULTS_FILE)
    body = [
        _head(about),
        _results(rows),
        *_blocks(run, about),
        _curves(run, about),
        _stages(about),
        _recipe(about),
        _machine(about),
    ]
    style = (Path(__file__).parent / "style.css").read_text()
    title = escape(f"{about['name']} · slmkit")
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><style>{style}</style></head>\n<body><main>'
        + "\n".join(part for part in body if part)
        + "</main></body></html>\n"
    )
    write_atomically(run / REPORT_FILE, page.encode())
    return run / REPORT_FILE


def _head(about: Mapping[str, Any]) -> str:
    profile = f", profile {about['profile']}" if about.get("profile") else ""
    summary = about["recipe"].get("summary", "")
    took = _duration(about["seconds"])
    return (
        f"<header><h1>{escape(str(about['name']))}</h1><p>{escape(str(summary))}</p>"
        f"<p>{escape(str(about['started'])[:16].replace('T', ' '))} UTC{escape(profile)}, "
        f"{len(about['stages'])} stages, {took}</p></header>"
    )


def _results(rows: Sequence[Mapping[str, Any]]) -> str:
    """Metrics down, splits across; parts of a metric (after its second slash) stand below it."""
    if not rows:
        return ""
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
    return (
        '<section id="results"><h2>Results</h2><p>Value, 95% bootstrap interval, number of items.'
        '</p><div class="wide"><table><thead><tr><th scope="col">metric</th>'
        f'<th scope="col"></th>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
        "</section>"
    )


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


def _blocks(run: Path, about: Mapping[str, Any]) -> Iterator[str]:
    """The sections that stages left."""
    for stage in about["stages"]:
        folder = run / stage["folder"]
        if not (folder / BLOCKS_FILE).exists():
            continue
        for block in json.loads((folder / BLOCKS_FILE).read_text()):
            drawn = {"sounds": _sounds, "table": _table, "figure": _image}.get(block.get("type"))
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
    return f'<div class="wide"><table><tr>{head}</tr><tbody>{rows}</tbody></table></div>'


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
        f'<td class="number">{_duration(stage.get("seconds") or 0)}</td>'
        f'<td class="number">{(stage.get("peak_memory") or 0) / 1e9:.2f} GB</td></tr>'
        for stage in about["stages"]
    )
    return (
        '<section><h2>Stages</h2><div class="wide"><table><thead><tr><th scope="col">stage</th>'
        '<th scope="col">part</th><th scope="col">status</th><th scope="col" class="number">time'
        '</th><th scope="col" class="number">peak memory</th></tr></thead>'
        f"<tbody>{lines}</tbody></table></div></section>"
    )


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


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
