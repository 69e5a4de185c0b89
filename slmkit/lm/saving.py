"""A SpeechLM as a folder that holds all it takes to build it again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from slmkit.api import CodeSpec, DataError
from slmkit.host import build, load_part, save_part
from slmkit.lm.speechlm import LM_FILE, SpeechLM
from slmkit.lm.vocabulary import Vocabulary

PARTS_FILE = "parts.json"


def save_lm(lm: SpeechLM, folder: Path) -> None:
    """Write a model: weights, vocabulary, its text tokenizer, backbone and decoding."""
    lm.save(folder)
    text: Any = lm.vocabulary.text
    save_part(text, folder / "text", text.origin.shelved, text.origin.options, {})
    parts: dict[str, Any] = {"backbone": lm.backbone, "decoding": lm.decoding}
    record = {
        kind: {
            "part": part.origin.shelved.name,
            "options": dataclasses.asdict(part.origin.options),
        }
        for kind, part in parts.items()
    }
    (folder / PARTS_FILE).write_text(json.dumps(record, indent=1) + "\n")


def load_lm(folder: Path) -> SpeechLM:
    """The inverse of `save_lm`. Raises DataError where the folder holds no model."""
    try:
        parts = json.loads((folder / PARTS_FILE).read_text())
        record = json.loads((folder / LM_FILE).read_text())
    except FileNotFoundError as error:
        raise DataError(f"{folder}: no language model here ({error.filename} is missing)") from None
    vocabulary = Vocabulary.from_dict(load_part(folder / "text"), record["vocabulary"])
    backbone = build("backbone", parts["backbone"]["part"], parts["backbone"]["options"])
    decoding = build("decoding", parts["decoding"]["part"], parts["decoding"]["options"])
    lm = SpeechLM(backbone, decoding, vocabulary, CodeSpec.from_dict(record["spec"]))
    lm.restore(folder)
    lm.eval()
    return lm
