"""The strategy `flat`."""

from slmkit.api import CodeSpec, Decoding, Generator, NoOptions


class Flat(Decoding):
    """One autoregressive model over a single stream of text pieces and codes."""

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def plan(self, spec: CodeSpec) -> tuple[Generator, ...]:
        return (Generator(layout="flatten", head="linear"),)
