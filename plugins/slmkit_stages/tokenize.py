"""The stage `tokenize`: every utterance's codes into the token store."""

from __future__ import annotations

from dataclasses import asdict, replace

from slmkit.api import (
    AudioError,
    DataError,
    StageContext,
    StageError,
    Tokenizer,
    UnknownNameError,
)
from slmkit.data.coding import batches, code
from slmkit.data.content import content_hash, hash_json
from slmkit.data.manifest import load_manifest
from slmkit.data.store import TokenStore
from slmkit_stages.plugin import TokenizeOptions
from slmkit_stages.prepare import MANIFEST


def tokenize(options: TokenizeOptions, context: StageContext) -> None:
    """Code what is not in the store yet. Sound that several utterances share is coded once.

    An utterance that cannot be read or coded stops the stage, or is named, counted and left out.
    """
    if options.on_error not in ("stop", "skip"):
        raise UnknownNameError("on_error", options.on_error, ("stop", "skip"))
    tokenizer: Tokenizer = context.part("tokenizer")
    merge = options.deduplicate and tokenizer.spec.codebooks == 1
    spec = replace(tokenizer.spec, deduplicated=merge or tokenizer.spec.deduplicated)
    utterances = [u for u in load_manifest(context.read("manifest") / MANIFEST) if u.audio]
    if not utterances:
        raise DataError("the corpus has no audio to code")
    store = TokenStore.create(context.folder / "codes", spec, fingerprint(tokenizer, context))
    done = store.ids()
    left = [u for u in utterances if u.id not in done]
    skipped = 0
    with store.writer() as writer, context.progress("coding", len(utterances)) as progress:
        for some in batches(left, options.batch_seconds):
            rows, faults = code(some, tokenizer, merge)
            for row in rows:
                writer.add(row)
            for id, fault in faults.items():
                if options.on_error == "stop":
                    raise AudioError(f"utterance '{id}': {fault}") from fault
                context.say(f"left out '{id}': {fault}")
            skipped += len(faults)
            done |= {row.id for row in rows}
            progress(len(done) + skipped)
    if not done:
        raise StageError("no utterance could be coded")
    if skipped:
        context.say(f"{skipped} of {len(utterances)} utterances were left out")


def fingerprint(tokenizer: Tokenizer, context: StageContext) -> str:
    """Of the files in which it was kept when it was fitted, else of its name and options."""
    fitted = context.find("tokenizer")
    if fitted is not None:
        return content_hash(fitted)
    origin = getattr(tokenizer, "origin", None)
    if origin is None:
        return type(tokenizer).__name__
    return f"{origin.shelved.name}-{hash_json(asdict(origin.options))}"
