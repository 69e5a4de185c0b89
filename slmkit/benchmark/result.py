"""From the outcomes of all pieces to the row of a tokenizer. Imports no torch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import slmkit
from slmkit.benchmark.cache import Outcome
from slmkit.benchmark.candidate import Candidate, weights_hash
from slmkit.benchmark.data import Prepared
from slmkit.benchmark.figures import row_value
from slmkit.benchmark.pieces import Piece, Subject
from slmkit.benchmark.row import Named, Row, Tokenizer
from slmkit.benchmark.seeds import over_runs
from slmkit.recipe.machine import machine, versions

NAMES = {
    "alignment": (
        "mutual-information", "mutual-information-shuffled", "probe-wer", "probe-wer-shuffled",
    ),
    "copies": ("wer", "similarity", "stoi", "pesq", "mel-distance", "si-sdr"),
    "originals": ("wer",),
    "purity": ("phone-mutual-information", "phone-purity", "speaker-purity"),
    "abx": ("abx-within", "abx-across"),
    "invariance": tuple(
        f"edit-distance-{change}" for change in ("noise", "stretch", "pitch", "reverberation")
    ),
    "rates": ("bitrate/nominal", "bitrate/entropy-coded", "codebook-usage", "frame-rate"),
    "cost": ("real-time-factor-encode", "real-time-factor-decode", "peak-memory-encode",
             "peak-memory-decode"),
}  # fmt: skip
"""What each kind of piece would have measured, where it failed as a whole."""

Lines = list[str]


def row_of(
    subject: Subject,
    candidate: Candidate,
    prepared: Prepared,
    outcomes: Sequence[tuple[Piece, Outcome]],
    weights: Path | None,
    cache: Path,
) -> tuple[Row, Lines, Lines]:
    """The row, what failed in it and what could not be expected, a line each."""
    entries = _entries(outcomes)
    protocol = subject.protocol
    named = {role: Named(*subject.judges[role]) for role in sorted(subject.judges)}
    vocoder = named.pop("vocoder", None)
    row = Row(
        tokenizer=Tokenizer(
            name=candidate.name,
            part=candidate.chosen.name,
            options=candidate.options,
            weights=weights_hash(weights, candidate.fingerprint(cache), cache),
        ),
        protocol=Named(protocol.name, protocol.hash),
        data=Named(prepared.name, prepared.hash),
        judges=named,
        vocoder=vocoder,
        seeds=tuple(protocol.seeds),
        values={key: row_value(entry["figure"]) for key, entry in entries.items()},
        machine=machine(),
        versions=versions({candidate.chosen.shelved.distribution}) | {"slmkit": slmkit.__version__},
        wall_seconds=round(sum(outcome.seconds for _, outcome in outcomes), 3),
        items={key: entry["items"] for key, entry in entries.items() if entry.get("items")},
    )
    reasons = {k: e["figure"]["reason"] for k, e in entries.items() if "reason" in e["figure"]}
    failed = [k for k, e in entries.items() if e.get("failed")]
    lines = _grouped({k: r for k, r in reasons.items() if k in failed})
    lost = [
        f"{k}: {e['lost']} items could not be scored" for k, e in entries.items() if e.get("lost")
    ]
    return row, lines, _grouped({k: r for k, r in reasons.items() if k not in failed}) + lost


def _entries(outcomes: Sequence[tuple[Piece, Outcome]]) -> dict[str, Any]:
    """By metric and selection, sorted; a piece that failed gives its reason to all of its own."""
    found: dict[str, Any] = {}
    trainings: dict[str, list[tuple[Piece, Outcome]]] = defaultdict(list)
    for piece, outcome in outcomes:
        if piece.kind == "alignment":
            trainings[piece.selection].append((piece, outcome))
        elif outcome.reason:
            found |= _reasons(piece, outcome)
        else:
            found |= outcome.found
    for selection, some in trainings.items():
        wrong = [(p, o) for p, o in some if o.reason]
        if wrong:
            found |= _reasons(*wrong[0])
            continue
        texts, shuffled = (
            [o.found for p, o in some if p.shuffled == which] for which in (False, True)
        )
        found |= {f"{n}/{selection}": entry for n, entry in over_runs(texts, shuffled).items()}
    return {key: _plain(found[key]) for key in sorted(found)}


def _reasons(piece: Piece, outcome: Outcome) -> dict[str, Any]:
    selection = "original" if piece.kind == "originals" else piece.selection
    failed = {"failed": True} if outcome.failed else {}
    return {
        f"{name}/{selection}": {"figure": {"reason": outcome.reason}, **failed}
        for name in NAMES[piece.kind]
    }


def _plain(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry whose items are pairs, whether they were read from JSON or not."""
    items = {id: (pair[0], pair[1]) for id, pair in entry.get("items", {}).items()}
    return {**entry, "items": items} if items else dict(entry)


def _grouped(reasons: Mapping[str, str]) -> list[str]:
    """A line for each reason, with all that it keeps from being measured."""
    together: dict[str, list[str]] = defaultdict(list)
    for key, reason in reasons.items():
        together[reason].append(key)
    return [f"{', '.join(keys)}: {reason}" for reason, keys in together.items()]
