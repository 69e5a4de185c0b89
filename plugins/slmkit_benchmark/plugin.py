"""SLMTokBench as a stage of a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from slmkit.api import Declaration, hookimpl, option


@dataclass(frozen=True)
class BenchmarkOptions:
    """Which tokenizers are measured, and under which protocol."""

    protocol: str = option("mini", "of SLMTokBench: mini or librispeech")
    tokenizers: list[str] = option(
        help="slots of the tokenizers, as fitted above where they are",
        default_factory=lambda: ["tokenizer"],
    )
    data: str = option(
        "protocol", "protocol: its own; corpus: the recipe's, prepared above; or a manifest's path"
    )
    root: str | None = option(None, "folder of the public corpus that the protocol names")
    vocoder: str | None = option(None, "slot of a vocoder that speaks the codes")
    jobs: int = option(0, "processes that measure side by side; 0: one a core")

    def uses(self) -> tuple[str, ...]:
        """The tokenizers, and the vocoder where there is one."""
        return (*self.tokenizers, *((self.vocoder,) if self.vocoder else ()))


@hookimpl
def slmkit_stages() -> list[Declaration]:
    return [
        Declaration(
            name="benchmark",
            summary="SLMTokBench: each tokenizer ends in a row for the leaderboard",
            target="slmkit_benchmark.stage:benchmark",
            options=BenchmarkOptions,
            source="SpeechTokenizer (Zhang et al. 2024)",
            leaves=("rows",),
            trains=False,
        ),
    ]
