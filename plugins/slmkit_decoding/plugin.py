"""Layouts, heads and decoding strategies."""

from slmkit.api import Can, Declaration, hookimpl


@hookimpl
def slmkit_layouts() -> list[Declaration]:
    return [
        Declaration(
            name="flatten",
            summary="one stream: the codebooks of a frame one after another, frame by frame",
            target="slmkit_decoding.flatten:Flatten",
            source="AudioLM (Borsos et al. 2022); of one codebook: GSLM (Lakhotia et al. 2021)",
            can=Can(streaming=True, causal=True),
        )
    ]


@hookimpl
def slmkit_heads() -> list[Declaration]:
    return [
        Declaration(
            name="linear",
            summary="one projection to the vocabulary for each stream",
            target="slmkit_decoding.linear:Linear",
            can=Can(streaming=True, causal=True),
        )
    ]


@hookimpl
def slmkit_decodings() -> list[Declaration]:
    return [
        Declaration(
            name="flat",
            summary="flatten + linear: an ordinary language model over text and codes",
            target="slmkit_decoding.flat:Flat",
            source="SpeechGPT (Zhang et al. 2023), GSLM (Lakhotia et al. 2021)",
            can=Can(streaming=True, causal=True),
        )
    ]
