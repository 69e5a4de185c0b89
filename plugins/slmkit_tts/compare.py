"""The stage `compare-tts`: what several models said of the same texts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from slmkit.api import DataError, Result, StageContext
from slmkit.data.atomic import write_atomically
from slmkit.data.intervals import bootstrap, paired_difference
from slmkit.training.curves import curves_of
from slmkit_tts.drawing import draw_bars, draw_courses
from slmkit_tts.evaluate import SAID
from slmkit_tts.plugin import CompareTtsOptions

Record = Mapping[str, Any]

WER_PANEL, SIMILARITY_PANEL = "word error rate, %", "similarity to the prompt"
COURSES = {"dev_loss": "loss of the language model", "dev_refiner_loss": "loss of the refiner"}


def compare(options: CompareTtsOptions, context: StageContext) -> None:
    """Differences with paired intervals, and the figures of convergence and of speech for the
    report. Raises DataError for stages that did not say the same texts."""
    records = [read_items(context.path(name)) for name in options.said]
    names = names_of(records, options.said)
    check_alike(records, options.said)
    split = records[0]["split"]
    for (one, first), (other, second) in combinations(zip(names, records, strict=True), 2):
        context.result(*differences(f"{one}-less-{other}", first, second, split))
    blocks = [speech_block(names, records, context.folder)]
    if options.learnt:
        folders = [context.path(name) for name in options.learnt]
        blocks.insert(0, convergence_block(names, records, folders, context.folder))
    blocks.append(sounds_block(names, records, options.said, context))
    write_atomically(context.folder / "report.json", (json.dumps(blocks) + "\n").encode())


def read_items(stage: Path) -> Record:
    """What a stage `evaluate-tts` left of its items. Raises DataError where there is none."""
    try:
        record: Record = json.loads((stage / SAID).read_text())
        return record if "draws" in record else {}["draws"]
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{stage}: no text was said here: name a stage evaluate-tts") from None


def names_of(records: Sequence[Record], stages: Sequence[str]) -> list[str]:
    """What the designs are called: their labels, or else their stages. Raises DataError for two of
    one name."""
    names = [record["label"] or stage for record, stage in zip(records, stages, strict=True)]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"two stages are labelled '{name}': give each a label of its own")
    return names


def check_alike(records: Sequence[Record], stages: Sequence[str]) -> None:
    """Raise DataError for stages that were not asked the same."""

    def asked(record: Record) -> list[tuple[str, ...]]:
        return [
            tuple(item[k] for k in ("id", "text", "prompt", "stranger")) for item in record["items"]
        ]

    for record, stage in zip(records, stages, strict=True):
        if asked(record) != asked(records[0]):
            raise DataError(
                f"the stages '{stages[0]}' and '{stage}' did not say the same texts in the same "
                f"voices: give them the same split, roles, items and prompt_seconds"
            )
        if record["draws"] != records[0]["draws"]:
            raise DataError(
                f"the stages '{stages[0]}' and '{stage}' drew each text {records[0]['draws']} and "
                f"{record['draws']} times: give them the same draws"
            )


def differences(name: str, one: Record, other: Record, split: str) -> Iterator[Result]:
    """Word errors and likeness of one design less those of another, over the same items."""
    pairs = list(zip(one["items"], other["items"], strict=True))
    wer = paired_difference(
        [tuple(a["wer"]) for a, _ in pairs], [tuple(b["wer"]) for _, b in pairs]
    )
    yield Result(f"{name}/wer", split, *(100 * w for w in wer), len(pairs), "%", "lower")
    voiced = [(a["similarity"], b["similarity"]) for a, b in pairs if a["similarity"] is not None]
    if voiced:
        alike = paired_difference([(a, 1.0) for a, _ in voiced], [(b, 1.0) for _, b in voiced])
        yield Result(f"{name}/similarity", split, *alike, len(voiced))


def speech_block(names: Sequence[str], records: Sequence[Record], folder: Path) -> dict[str, Any]:
    """Bars of word errors and likeness, one a design, with their intervals."""
    panels: dict[str, list[tuple[float, float, float]]] = {WER_PANEL: []}
    for record in records:
        errors, words = zip(*(item["wer"] for item in record["items"]), strict=True)
        panels[WER_PANEL].append(tuple(100 * w for w in bootstrap(errors, words)))  # type: ignore[arg-type]
        alike = [i["similarity"] for i in record["items"] if i["similarity"] is not None]
        if alike:
            spread = bootstrap(alike, [1.0] * len(alike))
            panels.setdefault(SIMILARITY_PANEL, []).append(spread)
    write_atomically(folder / "speech.svg", draw_bars(names, panels).encode())
    count = len(records[0]["items"])
    return {
        "type": "figure",
        "title": "What was said, by design",
        "note": f"First draws of {count} held-out texts; lines are 95% intervals, a bootstrap over "
        f"texts. Fewer wrong words are better, more similarity is.",
        "image": "speech.svg",
    }


def convergence_block(
    names: Sequence[str], records: Sequence[Record], learnt: Sequence[Path], folder: Path
) -> dict[str, Any]:
    """Held-out losses against steps, one curve a design, and the WER of the models kept on the
    way."""
    losses = [curves_of(place) for place in learnt]
    panels = {
        title: {name: each[key] for name, each in zip(names, losses, strict=True) if key in each}
        for key, title in COURSES.items()
    }
    panels[WER_PANEL] = {
        name: [(point["step"], point["wer"][0]) for point in record["course"]]
        for name, record in zip(names, records, strict=True)
        if record["course"]
    }
    drawn = {title: curves for title, curves in panels.items() if curves}
    write_atomically(folder / "convergence.svg", draw_courses(drawn).encode())
    return {
        "type": "figure",
        "title": "Convergence",
        "note": "On held-out examples, nats a token. Designs have other tokens, so that the course "
        "of a loss can be compared and its height cannot; word errors can.",
        "image": "convergence.svg",
    }


def sounds_block(
    names: Sequence[str], records: Sequence[Record], stages: Sequence[str], context: StageContext
) -> dict[str, Any]:
    """The prompt, the text, and what each design made of it, side by side."""
    rows = []
    for items in zip(*(record["items"] for record in records), strict=True):
        sounds: dict[str, Path] = {}
        for name, item, stage in zip(names, items, stages, strict=True):
            place = context.path(stage)
            if "prompt" in item["sounds"]:
                sounds.setdefault("prompt", place / item["sounds"]["prompt"])
            if "spoken" in item["sounds"]:
                sounds[name] = place / item["sounds"]["spoken"]
        if sounds:
            paths = {n: os.path.relpath(path, context.folder) for n, path in sounds.items()}
            heard = {f"heard in {n}": i["heard"] for n, i in zip(names, items, strict=True)}
            texts = {"text": items[0]["text"], **heard}
            rows.append({"title": items[0]["id"], "texts": texts, "sounds": paths})
    title = "The same texts in the same voices, by design"
    return {"type": "sounds", "title": title, "note": "", "rows": rows}
