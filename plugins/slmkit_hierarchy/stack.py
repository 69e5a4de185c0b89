"""The stage `stack-tokenizers`."""

from __future__ import annotations

from slmkit.api import MisfitError, NoOptions, StageContext
from slmkit_hierarchy.hierarchy import Hierarchy


def stack(options: NoOptions, context: StageContext) -> None:
    """Keep a `hierarchy` of the fitted parts. Raises MisfitError where the recipe describes others
    in it than stand in the slots."""
    whole = context.fresh("tokenizer")
    if not isinstance(whole, Hierarchy):
        raise MisfitError(
            f"stack-tokenizers puts a hierarchy together, not a {type(whole).__name__}"
        )
    for slot, held in (("semantic", whole.semantic), ("acoustic", whole.acoustic)):
        described, stands = held.origin, context.fresh(slot).origin  # type: ignore[attr-defined]
        if (described.shelved.name, described.options) != (stands.shelved.name, stands.options):
            raise MisfitError(
                f"the hierarchy's {slot} part is not the one in the slot '{slot}': write it as "
                f"{slot}: ${{parts.SLOT}}"
            )
    whole.take(context.part("semantic"), context.part("acoustic"))
    context.keep("tokenizer", whole)
