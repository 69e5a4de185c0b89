"""The stage `prepare`: from a corpus to a manifest."""

from __future__ import annotations

from collections import Counter

from slmkit.api import DataError, NoOptions, StageContext
from slmkit.data.manifest import write_manifest

MANIFEST = "manifest.jsonl"


def prepare(options: NoOptions, context: StageContext) -> None:
    """Let the corpus make what sound it makes, and write all its utterances down.

    A broken run finds the sound that is there already. Raises DataError for an empty corpus.
    """
    corpus = context.part("corpus")
    with context.progress("preparing the corpus") as progress:
        utterances = list(corpus.utterances(context.folder / "audio", progress))
    if not utterances:
        raise DataError("the corpus gives no utterances")
    heard = Counter(u.split for u in utterances if u.audio)
    seconds = sum(u.duration or 0.0 for u in utterances if u.audio)
    splits = ", ".join(f"{count} {split}" for split, count in heard.items())
    context.say(f"{splits}: {seconds / 60:.0f} minutes; {len(utterances)} with those read as text")
    folder = context.folder / "manifest"
    folder.mkdir(exist_ok=True)
    write_manifest(folder / MANIFEST, utterances)
