"""A page for each recipe: its own words, its parts and stages, and what was measured of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.tables import README, RESULTS, markdown
from slmkit.recipe.document import read_document
from slmkit.recipe.shipped import shipped_recipes
from website.graph import draw_stages
from website.markup import cell, code, table

COMMAND = re.compile(r"^\s+slmkit ")


def recipe_pages() -> Iterator[tuple[str, str]]:
    """(path, Markdown) of every page about recipes."""
    found = {name: (file, read_document(file).values) for name, file in shipped_recipes().items()}
    rows = [
        [f"[`{name}`]({name}.md)", cell(values["summary"]), ", ".join(values.get("profiles") or {})]
        for name, (_, values) in found.items()
    ]
    yield (
        "recipes/index.md",
        "# Recipes\n\nA recipe names parts and stages on a page; `slmkit run NAME` runs it, and "
        "`slmkit recipes copy NAME` makes it yours. Most have a profile `smoke`, which does every "
        "stage in seconds and learns next to nothing.\n\n"
        + table(["recipe", "what", "profiles"], rows),
    )
    for name, (file, values) in found.items():
        yield f"recipes/{name}.md", _page(name, file, values)


def _page(name: str, file: Path, values: Mapping[str, Any]) -> str:
    text = file.read_text()
    summary = str(values["summary"])
    return "\n\n".join(
        [
            f"# {name}",
            f"**{cell(summary[:1].upper() + summary[1:])}.**",
            *_said(text),
            "## Parts",
            _parts(values["parts"]),
            "## Stages",
            _drawn(name, values["stages"]),
            _stages(values["stages"]),
            _profiles(text, values.get("profiles") or {}),
            _measured(name),
            "## The recipe itself",
            f"```yaml\n{text.rstrip()}\n```",
        ]
    )


def _said(text: str) -> Iterator[str]:
    """The comment at the top of the file: commands as a block, the rest as paragraphs."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line[1:])
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        if COMMAND.match(paragraph):
            commands = "\n".join(line.strip() for line in paragraph.splitlines())
            yield f"```sh\n{commands}\n```"
        else:
            yield cell(paragraph)


def _measured(name: str) -> str:
    """The recipe's own measurements, or where the page of benchmarks tells of it."""
    results = RESULTS / f"{name}.json"
    if results.exists():
        return (
            f"## Measured\n\n{markdown(json.loads(results.read_text()))}\n"
            f"What is missed, and why, is told under [benchmarks](../benchmarks.md#{name})."
        )
    for section in re.split(r"^## ", README.read_text(), flags=re.MULTILINE)[1:]:
        title = section.splitlines()[0]
        if f"recipes/{name}.yaml" in section:
            place = f"../benchmarks.md#{title.lower().replace(' ', '-')}"
            return f"## Measured\n\nIts figures stand under [benchmarks]({place})."
    return ""


def _parts(parts: Mapping[str, Any]) -> str:
    rows = []
    for slot, entry in parts.items():
        given = {k: v for k, v in entry.items() if k not in ("part", "kind")}
        kind = entry.get("kind", slot)
        link = f"[`{entry['part']}`](../shelves/{kind}.md#{entry['part']})"
        rows.append([code(slot), link, _options(given)])
    return table(["slot", "part", "options"], rows)


def _drawn(name: str, stages: Mapping[str, Any]) -> str:
    needs = {stage: entry.get("needs", ()) for stage, entry in stages.items()}
    return f'<div class="figure">\n{draw_stages(needs, f"stages of {name}")}</div>'


def _stages(stages: Mapping[str, Any]) -> str:
    rows = []
    for name, entry in stages.items():
        given = {k: v for k, v in entry.items() if k not in ("stage", "needs")}
        needs = ", ".join(code(each) for each in entry.get("needs", ()))
        link = f"[`{entry['stage']}`](../shelves/stage.md#{entry['stage']})"
        rows.append([code(name), link, needs, _options(given)])
    return table(["name", "stage", "after", "options"], rows)


def _options(given: Mapping[str, Any]) -> str:
    return ", ".join(code(f"{key}={_short(value)}") for key, value in given.items())


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_short(v)}" for k, v in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _profiles(text: str, profiles: Mapping[str, Any]) -> str:
    """Each profile with the comment beside its name."""
    if not profiles:
        return ""
    said = dict(re.findall(r"^  ([\w-]+):\s+# (.+)$", text.split("\nprofiles:")[-1], re.MULTILINE))
    rows = [[code(name), cell(said.get(name, ""))] for name in profiles]
    return "## Profiles\n\n" + table(["`--profile`", "what"], rows)
