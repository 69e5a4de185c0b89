"""A fitted part of a run as a folder to be shared: lean weights, and a card that says whence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slmkit.api import DataError, Result
from slmkit.codecs.lean import lean
from slmkit.host import load_part, part_record, save_part
from slmkit.recipe.folder import RUN_FILE, read_json
from slmkit.recipe.saved import SavedRun

WEIGHTS = "weights.safetensors"
CARD = "README.md"


def export(run: SavedRun, slot: str, folder: Path, about: str) -> int:
    """Write a slot's part, which `--from` and `load_part` read, and its card; the bytes of it.

    `about` stands in the card: data, licences, what a person should know. Raises DataError where
    the folder is not empty, UnknownNameError where no stage left such a part.
    """
    from safetensors.torch import load_file, save_file

    if folder.exists() and any(folder.iterdir()):
        raise DataError(f"{folder}: not empty; choose a new folder for the exported part")
    part = run.part(slot)
    save_part(part, folder, part.origin.shelved, part.origin.options, part.origin.given)
    if (folder / WEIGHTS).exists():
        save_file(lean(load_file(folder / WEIGHTS)), folder / WEIGHTS)
    # it is told of as it is shared, not as it was trained
    load_part(folder)
    record = read_json(run.folder / RUN_FILE)
    (folder / CARD).write_text(card(part_record(folder), record, run.results, slot, about))
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def card(
    part: Mapping[str, Any],
    run: Mapping[str, Any],
    results: tuple[Result, ...],
    slot: str,
    about: str,
) -> str:
    """A model card in Markdown: what it is, how it was made, what it measured."""
    options = "\n".join(f"- `{name}`: {value}" for name, value in sorted(part["options"].items()))
    minutes = run["seconds"] / 60
    profile = f", profile `{run['profile']}`" if run["profile"] else ""
    machine = run["machine"]
    gpus = ", ".join(machine["gpus"]) or "no GPU"
    cores = "1 core" if machine["cores"] == 1 else f"{machine['cores']} cores"
    rows = "\n".join(
        f"| {r.metric} | {r.split} | {r.value:.4g} {r.unit} | {r.low:.4g} to {r.high:.4g} | {r.n} |"
        for r in results
    )
    return f"""# {part["name"]}, trained by `{run["recipe_file"]}`

A {part["kind"]} of slmkit: `slmkit show {part["name"]}`. Weights are in half precision.

{about.strip()}

## Options

{options}

## How it was made

Recipe `{run["recipe_file"]}`{profile}, slot `{slot}`, seed {run["recipe"]["seed"]}; the whole run
took {minutes:.0f} minutes on {machine["cpu"]}, {cores}, {gpus}; slmkit
{run["versions"]["slmkit"]}, torch {run["versions"]["torch"]}.

## What it measured

| what | split | value | 95% interval | n |
| --- | --- | --- | --- | --- |
{rows}
"""
