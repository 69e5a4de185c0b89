"""The tokenizer `hierarchy`, and the stage that puts it together from fitted parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from slmkit.api import Can, Declaration, SlmkitError, hookimpl, part_option
from slmkit.host import inner_parts


@dataclass
class HierarchyOptions:
    """Whose units come first, and whose codes are heard."""

    semantic: dict[str, Any] = part_option(
        "tokenizer", "mel-km", "gives the first codebook: {part: NAME, ...options}"
    )
    acoustic: dict[str, Any] = part_option(
        "tokenizer", "mel-rvq", "gives the others, and decodes them: {part: NAME, ...options}"
    )

    def __post_init__(self) -> None:
        """Refuse two that do not keep step, before either is built."""
        try:
            semantic, acoustic = self._held()
        except SlmkitError:
            return  # what is wrong with a part itself is told where options are checked
        for what, one, other in (
            ("frames a second", semantic.frame_rate, acoustic.frame_rate),
            ("Hz of sound", semantic.sample_rate, acoustic.sample_rate),
        ):
            if None not in (one, other) and one != other:
                raise ValueError(
                    f"semantic and acoustic must keep step, and have {one:g} and {other:g} {what}"
                )

    def can(self, base: Can) -> Can:
        """A codebook more than the acoustic part, and otherwise as that."""
        _, acoustic = self._held()
        return replace(
            base,
            codebooks=None if acoustic.codebooks is None else acoustic.codebooks + 1,
            sample_rate=acoustic.sample_rate,
            frame_rate=acoustic.frame_rate,
            decodes=acoustic.decodes,
        )

    def _held(self) -> tuple[Can, Can]:
        """What the two parts can do. Raises SlmkitError for parts that there are not."""
        held = inner_parts(self)
        semantic, acoustic = (
            shelved.declaration.abilities(options)
            for shelved, options in (held["semantic"], held["acoustic"])
        )
        return semantic, acoustic


@hookimpl
def slmkit_tokenizers() -> list[Declaration]:
    return [
        Declaration(
            name="hierarchy",
            summary="semantic units as the first codebook, a codec's codes as the others",
            target="slmkit_hierarchy.hierarchy:Hierarchy",
            options=HierarchyOptions,
            can=Can(causal=False),
            source="AudioLM (Borsos et al. 2023): semantic before acoustic tokens",
        )
    ]


@hookimpl
def slmkit_stages() -> list[Declaration]:
    return [
        Declaration(
            name="stack-tokenizers",
            summary="put two fitted tokenizers together as one `hierarchy`",
            target="slmkit_hierarchy.stack:stack",
            uses=("semantic", "acoustic"),
            gives=("tokenizer",),
            trains=False,
        )
    ]
