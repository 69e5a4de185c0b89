"""Pieces of the benchmark as they are worked on, each in a process that others share."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from slmkit.api import DataError, MisfitError, SlmkitError, Utterance
from slmkit.benchmark.cache import Outcome, read_outcome, write_outcome
from slmkit.benchmark.coding import FlatCodes, built
from slmkit.benchmark.data import MANIFEST
from slmkit.benchmark.pieces import Piece, Subject, selections_of
from slmkit.data.manifest import load_manifest
from slmkit.recipe.chosen import Chosen
from slmkit.recipe.seeding import seed_all

Subsets = Mapping[str, Sequence[Utterance]]


def work(piece: Piece, subject: Subject, file: Path) -> Outcome:
    """Do a piece unless it is done, and keep its outcome.

    What cannot be measured of this tokenizer or this data is an outcome too. A fault that nobody
    foresaw is one as well, but is not kept: the next run tries again.
    """
    if (known := read_outcome(file)) is not None:
        return known
    begun, unfinished = perf_counter(), file.with_suffix("")
    seed_all(piece.seed)
    try:
        found = _measure(piece, subject, unfinished)
        outcome = Outcome(found, seconds=perf_counter() - begun)
    except SlmkitError as error:
        failed = not isinstance(error, DataError | MisfitError)
        outcome = Outcome(reason=_line(error), failed=failed, seconds=perf_counter() - begun)
    except Exception as error:
        # a stranger's tokenizer may raise anything, and takes only its own figures with it
        unfinished.mkdir(parents=True, exist_ok=True)
        (unfinished / "error.log").write_text(traceback.format_exc())
        said = f"{type(error).__name__}: {_line(error)} (traceback in {unfinished / 'error.log'})"
        return Outcome(reason=said, failed=True, seconds=perf_counter() - begun)
    write_outcome(file, outcome)
    shutil.rmtree(unfinished, ignore_errors=True)
    return outcome


def _measure(piece: Piece, subject: Subject, unfinished: Path) -> dict[str, Any]:
    subsets = subsets_of(subject)
    if piece.kind in ("copies", "originals", "invariance", "cost"):
        return _of_sound(piece, subject, subsets)
    codes, protocol = FlatCodes.open(subject.codes), subject.protocol
    test = subsets["test"]
    if piece.kind == "alignment":
        from slmkit.benchmark.alignment import probe_once

        return dict(
            probe_once(
                codes,
                subsets,
                piece.books,
                protocol.alignment,
                piece.seed,
                piece.shuffled,
                unfinished,
            )
        )
    if piece.kind == "rates":
        from slmkit.benchmark.cost import measure_rates

        selections = selections_of(protocol.selections, codes.spec.codebooks)
        return measure_rates(codes, test, selections)
    some = test[: protocol.phones.items]
    if piece.kind == "abx":
        from slmkit.benchmark.abx import measure_abx

        return _of(piece, measure_abx(codes, some, piece.books, protocol.phones))
    from slmkit.benchmark.purity import measure_purity

    return _of(piece, measure_purity(codes, some, piece.books[0]))


def _of_sound(piece: Piece, subject: Subject, subsets: Subsets) -> dict[str, Any]:
    """The pieces that hear something."""
    protocol, test = subject.protocol, subsets["test"]
    if piece.kind == "originals":
        from slmkit.benchmark.preservation import heard_originals

        some = test[: protocol.preservation.items]
        heard = heard_originals(some, _listener("transcriber", subject))
        return {f"{name}/original": entry for name, entry in heard.items()}
    tokenizer = built(subject.chosen, subject.codes)
    if piece.kind == "invariance":
        from slmkit.benchmark.invariance import measure_invariance

        selections = selections_of(protocol.selections, tokenizer.spec.codebooks)
        found: dict[str, Any] = measure_invariance(tokenizer, test, selections, protocol.invariance)
        return found
    vocoder = _listener("vocoder", subject, spec=tokenizer.spec)
    if vocoder is not None:
        from slmkit.data.speaking import Voice

        Voice(vocoder).check(tokenizer.spec, f"tokenizer '{subject.name}'")
    if piece.kind == "cost":
        from slmkit.benchmark.cost import measure_cost

        cost: dict[str, Any] = measure_cost(tokenizer, vocoder, test, protocol.cost.items)
        return cost
    if vocoder is None and not subject.decodes:
        raise MisfitError(f"tokenizer '{subject.name}' has no decoder: give --vocoder")
    from slmkit.benchmark.preservation import Copier, compare_copies

    listeners = _listener("transcriber", subject), _listener("speaker-encoder", subject)
    some = test[: protocol.preservation.items]
    return _of(piece, compare_copies(Copier(tokenizer, vocoder), some, piece.books, *listeners))


def subsets_of(subject: Subject) -> dict[str, list[Utterance]]:
    """The utterances of every subset."""
    manifest = load_manifest(subject.data / MANIFEST, check_files=False)
    known = {utterance.id: utterance for utterance in manifest}
    return {name: [known[id] for id in ids] for name, ids in subject.subsets.items()}


def _listener(kind: str, subject: Subject, **given: Any) -> Any:
    """Who listens or speaks, None where there is nobody; a saved part has what is `given`."""
    if kind not in subject.listeners:
        return None
    return Chosen.from_dict(kind, subject.listeners[kind]).build(**given)


def _of(piece: Piece, found: Mapping[str, Any]) -> dict[str, Any]:
    """Measures under the selection of their codebooks."""
    return {f"{name}/{piece.selection}": entry for name, entry in found.items()}


def _line(error: BaseException) -> str:
    words = str(error).strip().splitlines()
    return words[0] if words else type(error).__name__
