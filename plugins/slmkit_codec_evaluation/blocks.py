"""What the stages leave for the report, and every item's scores. Letters: n (sample)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slmkit.data.atomic import write_atomically
from slmkit.data.audio import write_audio
from slmkit.data.codebooks import BookUse
from slmkit.data.speaking import place_in
from slmkit_codec_evaluation.copies import Copy
from slmkit_codec_evaluation.scores import Scores

Block = dict[str, Any]

ITEMS = "items.json"


def leave(folder: Path, blocks: Sequence[Block], items: Sequence[Mapping[str, Any]]) -> None:
    """Write the blocks for `report.html`, and the items."""
    for name, rows in (("report.json", blocks), (ITEMS, items)):
        write_atomically(folder / name, (json.dumps(rows, indent=1) + "\n").encode())


def keep_sound(folder: Path, name: str, wav: np.ndarray, rate: int) -> dict[str, str]:
    """Write a wave below `sounds/`; its path for a block, or nothing where it cannot be heard."""
    if not len(wav) or not np.isfinite(wav).all():
        return {}
    write_audio(place_in(folder / "sounds", name), wav, rate)
    return {name.rpartition("-")[2]: f"sounds/{name}.flac"}


def copies_block(
    copies: Sequence[Copy], heard: Mapping[str, Mapping[str, str]], label: str, folder: Path
) -> Block:
    """Originals and copies, with what the judge heard in them."""
    rows = []
    for copy in copies:
        id, said = copy.utterance.id, heard.get(copy.utterance.id, {})
        sounds: dict[str, str] = {}
        for name, wav in (("original", copy.original), ("copy", copy.wav)):
            sounds |= keep_sound(folder, f"{id}-{name}", wav, copy.rate)
        texts = {"said": copy.utterance.text, **{f"heard in the {k}": v for k, v in said.items()}}
        rows.append({"title": id, "texts": texts, "sounds": sounds, "spectrogram": "copy"})
    title = "Held-out utterances, coded and decoded"
    return {"type": "sounds", "title": f"{title} ({label})" if label else title, "rows": rows}


def book_table(use: Sequence[BookUse]) -> Block:
    """How each codebook is used."""
    rows = [
        [book, used.entries, f"{100 * used.usage:.1f} %", f"{used.entropy:.2f}",
         f"{used.perplexity:.0f}"]
        for book, used in enumerate(use, start=1)
    ]  # fmt: skip
    return {
        "type": "table",
        "title": "Codebooks",
        "note": "Over the codes of the training split.",
        "columns": ["codebook", "entries", "of them used", "entropy, bit", "perplexity"],
        "rows": rows,
    }


def failed_table(scores: Scores) -> list[Block]:
    """What could not be scored, and why; nothing where everything was."""
    rows = [list(each) for each in scores.reasons()]
    if not rows:
        return []
    return [
        {
            "type": "table",
            "title": "What could not be measured",
            "note": "These items are in no figure above.",
            "columns": ["measure", "reason", "items"],
            "rows": rows,
        }
    ]
