"""The stage `probe-codec`: how much text a small network reads off frozen codes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from slmkit.api import DataError, Result, StageContext
from slmkit.data.atomic import write_atomically
from slmkit.data.books import books_of
from slmkit.data.codebooks import frames_of
from slmkit.data.store import TokenStore
from slmkit.host import build
from slmkit.training.probe import Probe, ProbeTraining, Read, fit_probe, plain_text, repeats
from slmkit_codec_evaluation.plugin import ProbeCodecOptions
from slmkit_codec_evaluation.scores import Measure, Scores, labelled

FILE = "utterances.json"


@dataclass(frozen=True)
class Written:
    """What a probe read off one utterance: its errors and what they are counted against.

    Attributes:
        words, characters: (errors, how many the text has).
    """

    id: str
    text: str
    written: str
    words: tuple[float, float]
    characters: tuple[float, float]


def probe(options: ProbeCodecOptions, context: StageContext) -> None:
    """Train on the training split, choose by dev, read the test split once; leave every error."""
    store = TokenStore.open(context.read("codes"))
    books = books_of(options.books, store.spec.codebooks)
    train, dev, test = (reads(store, split, books) for split in ("train", "dev", options.split))
    if not test:
        raise DataError(f"the split '{options.split}' has no utterance with codes and a text")
    if options.shuffled_text:
        train, dev = (exchanged(some, context.seed) for some in (train, dev))
    torch.manual_seed(context.seed)
    reader = Probe(
        [store.spec.codebook_sizes[book] for book in books],
        "".join(sorted({character for read in [*train, *dev] for character in read.text})),
        options.width,
        repeats(store.spec.frame_rate),
    )
    if cramped := sum(not reader.fits(read) for read in train):
        context.say(f"{cramped} of {len(train)} texts have more characters than frames: not learnt")
    training = ProbeTraining(options.steps, options.lr, options.batch_frames)
    fit_probe(reader, train, dev, training, context)
    written = scored(test, reader.write(test))
    for row in rows_of(written, options.split):
        context.result(labelled(row, options.label))
    leave(context.folder / "probe", reader, options.split, written)
    block = sample(written[:10], options.label)
    write_atomically(
        context.folder / "report.json", (json.dumps([block], indent=1) + "\n").encode()
    )


def reads(store: TokenStore, split: str, books: Sequence[int]) -> list[Read]:
    """The utterances of a split that have a text, with the chosen codebooks of their codes."""
    found = []
    for row in store.select(split=split):
        text = plain_text(row.text or "")
        if text and row.frames:
            found.append(Read(row.id, frames_of(row)[list(books)], text))
    return sorted(found, key=lambda read: read.id)


def exchanged(some: Sequence[Read], seed: int) -> list[Read]:
    """Each utterance with the text of another."""
    texts = [read.text for read in some]
    random.Random(seed).shuffle(texts)
    turned = [*texts[1:], *texts[:1]]
    # one that was given its own text back takes the next one's
    return [
        replace(read, text=text if text != read.text else other)
        for read, text, other in zip(some, texts, turned, strict=True)
    ]


def scored(some: Sequence[Read], written: Sequence[str]) -> list[Written]:
    """Every utterance's errors."""
    wer, cer = build("metric", "wer"), build("metric", "cer")
    return [
        Written(r.id, r.text, w, wer.score(w, r.text), cer.score(w, r.text))
        for r, w in zip(some, written, strict=True)
    ]


def rows_of(written: Sequence[Written], split: str) -> Iterator[Result]:
    """The error rates of words and of characters."""
    scores, measure = Scores(), Measure("%", 100.0, "lower")
    for each in written:
        scores.add("probe-wer", measure, each.id, each.words)
        scores.add("probe-cer", measure, each.id, each.characters)
    return scores.rows(split)


def leave(folder: Path, reader: Probe, split: str, written: Sequence[Written]) -> None:
    """Write every utterance's errors for `compare-probes`, and the weights."""
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    about = {"alphabet": reader.alphabet, "repeat": str(reader.repeat)}
    weights = {name: tensor.contiguous() for name, tensor in reader.state_dict().items()}
    write_atomically(folder / "weights.safetensors", save(weights, about))
    errors = {"split": split, "utterances": [vars(each) for each in written]}
    write_atomically(folder / FILE, (json.dumps(errors, indent=1) + "\n").encode())


def sample(written: Sequence[Written], label: str) -> dict[str, object]:
    """A block of the report: some texts, and what was read."""
    title = "Text read off the codes"
    return {
        "type": "table",
        "title": f"{title} ({label})" if label else title,
        "note": "Held-out utterances; no language model helps.",
        "columns": ["utterance", "said", "read", "wrong words"],
        "rows": [
            [e.id, e.text, e.written, f"{e.words[0]:.0f} of {e.words[1]:.0f}"] for e in written
        ],
    }
