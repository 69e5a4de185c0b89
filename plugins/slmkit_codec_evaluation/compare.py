"""The stage `compare-probes`: two probes over the same utterances."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from slmkit.api import DataError, Result, StageContext
from slmkit.data.intervals import paired_difference
from slmkit_codec_evaluation.plugin import CompareProbesOptions
from slmkit_codec_evaluation.probe import FILE
from slmkit_codec_evaluation.scores import labelled

COUNTED = {"probe-wer-difference": "words", "probe-cer-difference": "characters"}


def compare(options: CompareProbesOptions, context: StageContext) -> None:
    """The error rates of one probe less those of the other. Raises DataError for two probes that
    did not read the same texts."""
    left = [read_errors(context.path(name)) for name in (options.first, options.second)]
    one, other = ({each["id"]: each for each in probe["utterances"]} for probe in left)
    texts, others = ({id: each["text"] for id, each in probe.items()} for probe in (one, other))
    if texts != others:
        raise DataError(
            f"the probes '{options.first}' and '{options.second}' did not read the same texts: "
            f"give both the same split of the same corpus"
        )
    for name, counted in COUNTED.items():
        pairs = [(tuple(one[id][counted]), tuple(other[id][counted])) for id in sorted(one)]
        found = paired_difference([a for a, _ in pairs], [b for _, b in pairs])
        value, low, high = (100 * figure for figure in found)
        row = Result(name, left[0]["split"], value, low, high, len(pairs), "%", "lower")
        context.result(labelled(row, options.label))


def read_errors(stage: Path) -> Any:
    """What a probe left. Raises DataError where there is none."""
    try:
        return json.loads((stage / "probe" / FILE).read_text())
    except FileNotFoundError:
        raise DataError(f"{stage}: no probe was trained here: name a stage probe-codec") from None
