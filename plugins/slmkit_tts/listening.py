"""The stage `listening-form`: what listeners are to score, and the key that they do not see."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slmkit.api import DataError, StageContext
from slmkit.data.atomic import write_atomically
from slmkit.data.opinions import Key
from slmkit_tts.compare import Record, check_alike, names_of, read_items
from slmkit_tts.plugin import ListeningFormOptions

RECORDING = "recording"
"""The design of the true utterances, which tell how high listeners go."""

TEMPLATE = Path(__file__).with_name("form.html")


@dataclass(frozen=True)
class Sample:
    """One sound that is to be scored.

    Attributes:
        design: whose it is.
        id, text: of the utterance that it says.
        sound, prompt: files of the sample, and of the voice that it should have.
    """

    design: str
    id: str
    text: str
    sound: Path
    prompt: Path


def listen(options: ListeningFormOptions, context: StageContext) -> None:
    """Leave `listening/form.html` and `listening/key.json`. Raises DataError where the stages did
    not say the same texts."""
    records = [read_items(context.path(name)) for name in options.said]
    names = names_of(records, options.said)
    if RECORDING in names:
        raise DataError(f"the label '{RECORDING}' is that of the true utterances: choose another")
    check_alike(records, options.said)
    samples, failed = samples_of(names, records, [context.path(s) for s in options.said])
    texts = list(dict.fromkeys(sample.id for sample in samples))[: options.texts]
    samples = [sample for sample in samples if sample.id in texts]
    if failed:
        context.say(f"{failed} texts are left out, which not every design has said")
    if not samples:
        context.say("no text was said by every design in a given voice: there is no form")
        return
    key, page = make_form(samples, context.seed)
    folder = context.folder / "listening"
    key.save(folder / "key.json")
    write_atomically(folder / "form.html", page.encode())
    context.say(f"form: {folder / 'form.html'} ({len(samples)} items)")


def samples_of(
    names: Sequence[str], records: Sequence[Record], folders: Sequence[Path]
) -> tuple[list[Sample], int]:
    """The samples of the texts whose sounds were kept, true utterances among them; and how many
    texts are left out, because a design has not said them."""
    samples: list[Sample] = []
    failed = 0
    for items in zip(*(record["items"] for record in records), strict=True):
        kept: list[Mapping[str, str]] = [item["sounds"] for item in items]
        if not {"prompt", "true"} <= set(kept[0]):
            continue
        if not all("spoken" in sounds for sounds in kept):
            failed += 1
            continue
        named = zip(names, folders, kept, strict=True)
        sounds = {name: folder / paths["spoken"] for name, folder, paths in named}
        sounds[RECORDING] = folders[0] / kept[0]["true"]
        about: dict[str, Any] = {"id": items[0]["id"], "text": items[0]["text"]}
        prompt = folders[0] / kept[0]["prompt"]
        samples += [
            Sample(name, sound=path, prompt=prompt, **about) for name, path in sounds.items()
        ]
    return samples, failed


def make_form(samples: Sequence[Sample], seed: int) -> tuple[Key, str]:
    """The key, and a page that needs no other file and tells of no design.

    Items have codes that follow from the seed alone, and stand in the order of their codes; the
    page shuffles them anew for each listener.
    """
    draw = random.Random(f"listening {seed}")
    codes = draw.sample(range(16**6), len(samples))
    coded = sorted((f"{code:06x}", sample) for code, sample in zip(codes, samples, strict=True))
    key = Key(
        {code: sample.design for code, sample in coded},
        {code: sample.id for code, sample in coded},
    )
    prompts = list(dict.fromkeys(sample.prompt for _, sample in coded))
    items = [
        {"code": code, "text": each.text, "sample": _carried(each.sound),
         "voice": prompts.index(each.prompt)}
        for code, each in coded
    ]  # fmt: skip
    test = {"test": key.test, "voices": [_carried(path) for path in prompts], "items": items}
    # a text may hold what would end the script
    written = json.dumps(test).replace("<", "\\u003c")
    return key, TEMPLATE.read_text().replace("%TEST%", written)


def _carried(path: Path) -> str:
    """A FLAC file as a data URI, as it is: listeners score what was said and no other coding."""
    return f"data:audio/flac;base64,{base64.b64encode(path.read_bytes()).decode()}"
