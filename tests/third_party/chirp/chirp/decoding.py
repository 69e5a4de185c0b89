"""The decoding strategy `one-voice`."""

from slmkit.api import CodeSpec, Decoding, Generator, MisfitError, NoOptions


class OneVoice(Decoding):
    """Pieces that come with slmkit, put together by a stranger."""

    def __init__(self, options: NoOptions) -> None:
        self.options = options

    def plan(self, spec: CodeSpec) -> tuple[Generator, ...]:
        if spec.codebooks != 1:
            raise MisfitError(f"'one-voice' takes one codebook, not {spec.codebooks}")
        return (Generator(layout="flatten", head="linear"),)
