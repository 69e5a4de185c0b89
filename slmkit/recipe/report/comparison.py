"""Several runs on one page: results beside each other, what differs in their recipes, learning
curves laid over each other, and sounds side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from slmkit.api import DataError
from slmkit.data.atomic import write_atomically
from slmkit.data.intervals import Difference
from slmkit.drawing.tables import better, results_cell, written
from slmkit.recipe.report import figures
from slmkit.recipe.report.items import difference, scores_of
from slmkit.recipe.report.overlaid import draw_overlaid
from slmkit.recipe.report.page import duration
from slmkit.recipe.report.run_files import RunFiles, read_run
from slmkit.recipe.report.shell import table, whole_page
from slmkit.training.curves import Curve, curves_of

Runs = Mapping[str, RunFiles]
"""By the name that stands for each on the page."""


def write_comparison(folders: Sequence[Path], file: Path) -> Path:
    """Write the page of these runs; differences are to the first. Raises DataError."""
    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        raise DataError("a comparison takes two or more runs, each once: give their folders")
    runs = _named([read_run(folder) for folder in folders])
    title = " and ".join(runs) if len(runs) == 2 else f"{len(runs)} runs"
    body = [
        f"<header><h1>{escape(title)}</h1><p>Runs compared; differences are to the first, "
        f"{escape(next(iter(runs)))}.</p></header>",
        _about(runs),
        _results(runs),
        _differences(runs),
        _recipes(runs),
        _curves(runs),
        *_sounds(runs),
    ]
    write_atomically(file, whole_page(f"{title} · slmkit", body).encode())
    return file


def _named(runs: Sequence[RunFiles]) -> dict[str, RunFiles]:
    """By their folders' names where these differ, else by the whole paths."""
    names = [run.folder.resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run.folder) for run in runs]
    return dict(zip(names, runs, strict=True))


def _section(title: str, note: str, content: str) -> str:
    noted = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{noted}{content}</section>"


def _heads(*names: str, number: bool = False) -> str:
    kind = ' class="number"' if number else ""
    return "".join(f'<th scope="col"{kind}>{escape(name)}</th>' for name in names)


def _about(runs: Runs) -> str:
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(str(run.about["name"]))}</td>'
        f"<td>{escape(str(run.about.get('profile') or '–'))}</td>"
        f'<td class="number">{escape(str(run.about["started"])[:16].replace("T", " "))}</td>'
        f'<td class="number">{duration(run.about["seconds"])}</td>'
        f"<td>{escape(str(run.about['versions'].get('slmkit', '–')))}</td>"
        f"<td>{escape(str(run.about['machine'].get('cpu', '–')))}</td></tr>"
        for name, run in runs.items()
    )
    head = _heads("run", "recipe", "profile") + _heads("started, UTC", "time", number=True)
    return _section("Runs", "", table("Runs", head + _heads("slmkit", "processor"), lines))


def _results(runs: Runs) -> str:
    rows = {name: {(r["metric"], r["split"]): r for r in run.rows} for name, run in runs.items()}
    keys = dict.fromkeys(key for found in rows.values() for key in found)
    if not keys:
        return ""
    lines = []
    for metric, split in keys:
        cells = "".join(results_cell(found.get((metric, split))) for found in rows.values())
        known = next(found[metric, split] for found in rows.values() if (metric, split) in found)
        lines.append(
            f'<tr><th scope="row">{escape(metric)}</th><td>{escape(split)}</td>'
            f'<td class="better">{better(known["direction"])}</td>{cells}</tr>'
        )
    head = _heads("metric", "split", "better") + _heads(*runs, number=True)
    note = "Value, 95% bootstrap interval, number of items."
    return _section("Results", note, table("Results", head, "".join(lines)))


def _differences(runs: Runs) -> str:
    """Of every metric whose items the first run and another one have."""
    scores = {name: scores_of(run) for name, run in runs.items()}
    (_, ours), *others = scores.items()
    known = {(r["metric"], r["split"]): r for run in runs.values() for r in run.rows}
    lines = []
    for key, items in ours.items():
        if not any(key in theirs for _, theirs in others):
            continue
        row = known[key]
        cells = "".join(
            _difference(difference(theirs[key], items) if key in theirs else None, row)
            for _, theirs in others
        )
        lines.append(
            f'<tr><th scope="row">{escape(key[0])}</th><td>{escape(key[1])}</td>{cells}</tr>'
        )
    if not lines:
        return ""
    note = (
        "On the items of both, drawn once for both (paired bootstrap, 95%): what makes an item "
        "hard falls out. ▲ better than the first run, ▼ worse, ≈ not told apart."
    )
    head = _heads("metric", "split") + _heads(*(name for name, _ in others), number=True)
    title = f"Differences to {next(iter(runs))}"
    return _section(title, note, table(title, head, "".join(lines)))


def _difference(found: Difference | None, row: Mapping[str, Any]) -> str:
    if found is None:
        return '<td class="number">–</td>'
    improved = (found.value > 0) == (row["direction"] == "higher")
    sign, meaning = ("▲", "better") if improved else ("▼", "worse")
    if not found.real:
        sign, meaning = "≈", "not told apart"
    unit = f" {escape(row['unit'])}" if row["unit"] else ""
    return (
        f'<td class="number"><span aria-hidden="true">{sign}</span> {written(found.value)}{unit}'
        f'<span class="unseen">, {meaning}</span><br><span class="span">{written(found.low)} to '
        f"{written(found.high)}, n = {found.n}</span></td>"
    )


def _recipes(runs: Runs) -> str:
    """The keys of the recipes that are not the same in all runs."""
    flat = [dict(_flat(run.about["recipe"])) for run in runs.values()]
    keys = [
        key
        for key in dict.fromkeys(key for values in flat for key in values)
        if len({values.get(key, "–") for values in flat}) > 1
    ]
    lines = "".join(
        f'<tr><th scope="row">{escape(key)}</th>'
        + "".join(f"<td>{escape(values.get(key, '–'))}</td>" for values in flat)
        + "</tr>"
        for key in keys
    )
    title = "What differs in the recipes"
    if not keys:
        return _section(title, "", "<p>Nothing.</p>")
    return _section(title, "", table(title, _heads("key", *runs), lines))


def _flat(values: Any, above: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from _flat(value, f"{above}.{key}" if above else str(key))
    else:
        yield above, str(values)


def _curves(runs: Runs) -> str:
    """A drawing for each stage that left curves in two runs or more."""
    by_stage: dict[str, dict[str, Mapping[str, Curve]]] = {}
    for name, run in runs.items():
        for stage in run.about["stages"]:
            curves = {n: c for n, c in curves_of(run.folder / stage["folder"]).items() if c}
            if curves:
                by_stage.setdefault(stage["stage"], {})[name] = curves
    drawn = "".join(
        f'<div class="card">{draw_overlaid(stage, found)}</div>'
        for stage, found in by_stage.items()
        if len(found) > 1
    )
    if not drawn:
        return ""
    return _section("Learning curves", "", f'<div class="cards large">{drawn}</div>')


def _sounds(runs: Runs) -> Iterator[str]:
    """What two runs or more let hear under one title, side by side."""
    cards: dict[str, dict[str, dict[str, tuple[Path, Mapping[str, Any]]]]] = {}
    for name, run in runs.items():
        for folder, block in run.blocks():
            if block.get("type") == "sounds":
                for row in block["rows"]:
                    rows = cards.setdefault(str(block["title"]), {})
                    rows.setdefault(str(row["title"]), {})[name] = (folder, row)
    for title, rows in cards.items():
        shared = "".join(_card(row, found) for row, found in rows.items() if len(found) > 1)
        if shared:
            yield _section(title, "", f'<div class="cards">{shared}</div>')


def _card(title: str, found: Mapping[str, tuple[Path, Mapping[str, Any]]]) -> str:
    """One item as each run has it; what is the same in all of them stands once."""
    texts: dict[str, dict[str, str]] = {}
    sounds: dict[str, dict[str, Path]] = {}
    for name, (folder, row) in found.items():
        for label, text in row["texts"].items():
            texts.setdefault(label, {})[name] = "–" if text is None else str(text)
        for label, path in row["sounds"].items():
            sounds.setdefault(label, {})[name] = folder / path
    said = "".join(
        f"<dt>{escape(label)}</dt><dd>{escape(text)}</dd>"
        for what, by_run in texts.items()
        for label, text in _once(what, by_run, len(found))
    )
    heard = ""
    for what, paths in sounds.items():
        place = {path.read_bytes(): path for path in paths.values()}
        for label, content in _once(
            what, {n: p.read_bytes() for n, p in paths.items()}, len(found)
        ):
            name = escape(label)
            heard += (
                f'<div class="sound">{name}</div><audio controls preload="metadata" aria-label='
                f'"{name} of {escape(title)}" src="{figures.carry_sound(place[content])}"></audio>'
            )
    return f'<article class="card"><h3>{escape(title)}</h3><dl>{said}</dl>{heard}</article>'


def _once(what: str, by_run: Mapping[str, Any], runs: int) -> Iterator[tuple[str, Any]]:
    """(label, value): one for all runs if it is the same in all, else one a run."""
    values = list(by_run.values())
    if len(values) == runs and all(value == values[0] for value in values):
        yield what, values[0]
    else:
        yield from ((f"{what}, {name}", value) for name, value in by_run.items())
