"""The strategies: which layout, which head, and which refiner."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from slmkit.api import CodeSpec, Decoding, Generator, MisfitError, NoOptions, Refinement
from slmkit.lm.layouts import check_delays
from slmkit_decoding.plugin import (
    ArNarOptions,
    DelayOptions,
    DepthOptions,
    DepthStrategyOptions,
    MonologueOptions,
    SoundStormOptions,
)


class Flat(Decoding):
    """One autoregressive model over a single stream of text pieces and codes."""

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def plan(self, spec: CodeSpec) -> tuple[Generator]:
        return (Generator(layout="flatten", head="linear"),)


class CoarseFirst(Decoding):
    """One autoregressive model over a single stream, a codebook after the other."""

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def plan(self, spec: CodeSpec) -> tuple[Generator]:
        return (Generator(layout="coarse-first", head="linear"),)


class Parallel(Decoding):
    """All codebooks of a frame at once, each without knowing of the others."""

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def plan(self, spec: CodeSpec) -> tuple[Generator]:
        _keeps_step(spec)
        delays = {"delays": [0] * spec.codebooks}
        return (Generator(layout="delay", head="linear", layout_options=delays),)


class Delay(Decoding):
    """A step a frame; each codebook one step behind the one before, so that it knows of it."""

    def __init__(self, options: DelayOptions) -> None:
        self.options = options

    def plan(self, spec: CodeSpec) -> tuple[Generator]:
        _keeps_step(spec)
        delays = self.options.delays or list(range(spec.codebooks))
        check_delays(delays, spec.codebooks)
        return (Generator(layout="delay", head="linear", layout_options={"delays": delays}),)


class Depth(Decoding):
    """A step a frame; a small transformer goes through the codebooks of a step."""

    def __init__(self, options: DepthStrategyOptions) -> None:
        self.options = options

    def plan(self, spec: CodeSpec) -> tuple[Generator]:
        _keeps_step(spec)
        delays = _one_behind(self.options.delays, spec)
        return (Generator("delay", "depth", {"delays": delays}, _depth(self.options)),)


class Monologue(Decoding):
    """A step a frame, of text and codes; a small transformer goes through them."""

    def __init__(self, options: MonologueOptions) -> None:
        self.options = options

    def plan(self, spec: CodeSpec) -> tuple[Generator]:
        if spec.deduplicated:
            raise MisfitError("codes that are deduplicated do not keep step with text beside them")
        options = self.options
        layout = {"ahead": options.ahead, "delays": _one_behind(options.delays, spec)}
        head = _depth(options) if options.head == "depth" else {}
        return (Generator("beside", options.head, layout, head),)


class ArNar(Decoding):
    """The first codebook step by step, the others by `valle-nar`, each at once."""

    def __init__(self, options: ArNarOptions) -> None:
        self.options = options

    def plan(self, spec: CodeSpec) -> tuple[Generator, Refinement]:
        values = dataclasses.asdict(self.options)
        return _refined(spec, "valle-nar", values, {"start": values.pop("start")})


class SoundStorm(Decoding):
    """The first codebook step by step, the others by `soundstorm`, masked code by masked code."""

    def __init__(self, options: SoundStormOptions) -> None:
        self.options = options

    def plan(self, spec: CodeSpec) -> tuple[Generator, Refinement]:
        return _refined(spec, "soundstorm", dataclasses.asdict(self.options))


def _refined(
    spec: CodeSpec,
    refiner: str,
    options: Mapping[str, Any],
    layout: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Generator, Refinement]:
    if spec.codebooks < 2:
        raise MisfitError(f"the refiner '{refiner}' completes codebooks, and there is only one")
    first = Generator("flatten", "linear", dict(layout), codebooks=1)
    return first, Refinement(refiner, options)


def _one_behind(delays: list[int] | None, spec: CodeSpec) -> list[int]:
    """Moshi's delays, where none are given. Raises MisfitError."""
    delays = delays or [0, *[1] * (spec.codebooks - 1)]
    check_delays(delays, spec.codebooks)
    return delays


def _depth(options: DepthOptions) -> dict[str, Any]:
    """What the head `depth` takes."""
    return {each.name: getattr(options, each.name) for each in dataclasses.fields(DepthOptions)}


def _keeps_step(spec: CodeSpec) -> None:
    if spec.deduplicated and spec.codebooks > 1:
        raise MisfitError("codes that are deduplicated have no codebooks side by side")
