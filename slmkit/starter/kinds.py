"""What the starter knows of each kind of part: a file, a summary, how the part is then used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SLOT = "In a recipe it is `parts: {$slot: {part: $name}}`, its options beside its name."


@dataclass(frozen=True)
class Sample:
    """The small part that a new package of some kind begins with.

    Attributes:
        summary: one line without a full stop, for its declaration and its pages.
        use: how it is used once it is installed; a template.
    """

    summary: str
    use: str = SLOT


SAMPLES: Mapping[str, Sample] = {
    "corpus": Sample("beeps that count themselves, with the times of their words"),
    "text": Sample("frequent words whole, everything else in bytes"),
    "tokenizer": Sample("how loud each frame is, heard again as noise of that loudness"),
    "vocoder": Sample("a tone for each unit, as loud as the unit was"),
    "backbone": Sample("gated recurrent layers with residuals"),
    "layout": Sample(
        "one stream, the finest codebook of each frame first",
        'A decoding strategy names it: `Generator(layout="$name", head="linear")`.',
    ),
    "head": Sample(
        "a hidden layer before the projection of each stream",
        'A decoding strategy names it: `Generator(layout="flatten", head="$name")`.',
    ),
    "refiner": Sample(
        "fine codebooks one after another, by a convolution over a few frames",
        'A decoding strategy names it behind its generator: `Refinement("$name")`.',
    ),
    "decoding": Sample("a code a step while that is affordable, else a frame a step"),
    "transcriber": Sample(
        "whether sound hums, hisses or is silent",
        "In a recipe it is `parts: {judge: {kind: transcriber, part: $name}}`.",
    ),
    "speaker-encoder": Sample(
        "the long-term average spectrum of a voice",
        "In a recipe it stands in a slot that a stage names, as `{part: $name, kind: "
        "speaker-encoder}`.",
    ),
    "metric": Sample(
        "share of the reference's words that were said, in any order",
        'In Python it is `slmkit.load("metric", "$name").score(given, reference)`.',
    ),
    "stage": Sample(
        "how fast a corpus is spoken, in words a second",
        "In a recipe it is `stages: {measure: {stage: $name, needs: [prepare]}}`.",
    ),
}
"""For every kind of `slmkit.api.KINDS`."""
