"""Public corpora through lhotse's own recipes: a corpus as it is unpacked becomes a manifest."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slmkit.api import DataError, UnknownNameError, Utterance
from slmkit.data.cuts import utterances_of
from slmkit.data.manifest import write_manifest

_PREFIX = "prepare_"
_SPLIT_WORDS = {"train": "train", "dev": "dev", "valid": "dev", "test": "test", "eval": "test"}


@dataclass(frozen=True)
class Prepared:
    """A manifest that was written: where, hours of speech, and utterances of each split."""

    manifest: Path
    hours: float
    splits: Mapping[str, int]


def public_corpora() -> dict[str, Callable[..., Any]]:
    """lhotse's recipes by the name of their corpus, with dashes."""
    import lhotse.recipes

    return {
        name.removeprefix(_PREFIX).replace("_", "-"): getattr(lhotse.recipes, name)
        for name in sorted(dir(lhotse.recipes))
        if name.startswith(_PREFIX)
    }


def prepare_corpus(name: str, root: Path, output: Path) -> Prepared:
    """Run lhotse's recipe `name` over the unpacked corpus at `root`; write `output/NAME.jsonl.gz`.

    Each supervision becomes an utterance under its id. A part whose name holds train, dev (or
    valid), test (or eval) is that split, any other is "train"; `extra["part"]` keeps its name.
    Raises UnknownNameError, DataError where the recipe needs more than a folder, or finds nothing.
    """
    name = name.lower().replace("_", "-")
    recipes = public_corpora()
    if name not in recipes:
        raise UnknownNameError("public corpus", name, recipes)
    if not root.exists():
        raise DataError(f"{root}: no such folder; unpack the corpus '{name}' and give its path")
    manifest = output / f"{name}.jsonl.gz"
    found = _run(name, recipes[name], root, output)
    utterances = [
        replace(utterance, split=_split_of(part), extra={**utterance.extra, "part": part})
        for part, manifests in sorted(_parts(found))
        for utterance in _utterances(manifests)
    ]
    if not utterances:
        raise DataError(f"{root}: lhotse's recipe '{name}' finds no utterance there")
    write_manifest(manifest, utterances)
    hours = sum(utterance.duration or 0.0 for utterance in utterances) / 3600
    return Prepared(manifest, hours, Counter(utterance.split for utterance in utterances))


def _run(name: str, recipe: Callable[..., Any], root: Path, output: Path) -> Mapping[str, Any]:
    first, *others = inspect.signature(recipe).parameters.values()
    needed = [p.name for p in others if p.default is p.empty]
    given: dict[str, Any] = {first.name: root.absolute()}
    if "output_dir" in needed:
        given["output_dir"] = output / f"{name}-lhotse"
        needed.remove("output_dir")
    if needed:
        raise DataError(
            f"lhotse's recipe '{name}' needs {', '.join(needed)} as well: run 'lhotse prepare "
            f"{name}' and 'lhotse cut simple', and give the cuts to the corpus 'manifest'"
        )
    try:
        found: Mapping[str, Any] = recipe(**given)
    except Exception as error:  # a recipe of lhotse may raise anything at a folder it cannot read
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{root}: lhotse's recipe '{name}' cannot read it: {reason}") from error
    return found


def _parts(found: Mapping[str, Any], name: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(name, manifests) of each part; recipes nest their parts differently deep."""
    if "recordings" in found or "cuts" in found:
        yield name, found
        return
    for key, inner in found.items():
        if isinstance(inner, Mapping):
            yield from _parts(inner, f"{name}-{key}".strip("-"))


def _utterances(manifests: Mapping[str, Any]) -> Iterator[Utterance]:
    from lhotse import CutSet

    cuts = manifests.get("cuts")
    if cuts is None:
        cuts = CutSet.from_manifests(
            recordings=manifests["recordings"], supervisions=manifests.get("supervisions")
        )
    if manifests.get("supervisions") is not None:
        cuts = cuts.trim_to_supervisions(keep_overlapping=False)
    found = []
    for cut in cuts:
        values = cut.to_dict()
        if len(cut.supervisions) == 1:
            values["id"] = cut.supervisions[0].id
        found.extend(utterances_of(values, Path()))
    yield from sorted(found, key=lambda utterance: utterance.id)


def _split_of(part: str) -> str:
    return next((split for word, split in _SPLIT_WORDS.items() if word in part.lower()), "train")
