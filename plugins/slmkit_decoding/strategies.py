"""The strategies: which layout and which head."""

from __future__ import annotations

from slmkit.api import CodeSpec, Decoding, Generator, MisfitError, NoOptions
from slmkit.lm.layouts import check_delays
from slmkit_decoding.plugin import DelayOptions, DepthStrategyOptions


class Flat(Decoding):
    """One autoregressive model over a single stream of text pieces and codes."""

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def plan(self, spec: CodeSpec) -> tuple[Generator, ...]:
        return (Generator(layout="flatten", head="linear"),)


class CoarseFirst(Decoding):
    """One autoregressive model over a single stream, a codebook after the other."""

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def plan(self, spec: CodeSpec) -> tuple[Generator, ...]:
        return (Generator(layout="coarse-first", head="linear"),)


class Parallel(Decoding):
    """All codebooks of a frame at once, each without knowing of the others."""

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def plan(self, spec: CodeSpec) -> tuple[Generator, ...]:
        _keeps_step(spec)
        delays = {"delays": [0] * spec.codebooks}
        return (Generator(layout="delay", head="linear", layout_options=delays),)


class Delay(Decoding):
    """A step a frame; each codebook one step behind the one before, so that it knows of it."""

    def __init__(self, options: DelayOptions) -> None:
        self.options = options

    def plan(self, spec: CodeSpec) -> tuple[Generator, ...]:
        _keeps_step(spec)
        delays = self.options.delays or list(range(spec.codebooks))
        check_delays(delays, spec.codebooks)
        return (Generator(layout="delay", head="linear", layout_options={"delays": delays}),)


class Depth(Decoding):
    """A step a frame; a small transformer goes through the codebooks of a step."""

    def __init__(self, options: DepthStrategyOptions) -> None:
        self.options = options

    def plan(self, spec: CodeSpec) -> tuple[Generator, ...]:
        _keeps_step(spec)
        options = self.options
        delays = options.delays or [0, *[1] * (spec.codebooks - 1)]
        check_delays(delays, spec.codebooks)
        head = {"width": options.width, "layers": options.layers, "heads": options.heads,
                "shared": options.shared}  # fmt: skip
        return (
            Generator(
                layout="delay", head="depth", layout_options={"delays": delays}, head_options=head
            ),
        )


def _keeps_step(spec: CodeSpec) -> None:
    if spec.deduplicated and spec.codebooks > 1:
        raise MisfitError("codes that are deduplicated have no codebooks side by side")
