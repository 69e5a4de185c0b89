"""The whole contract between slmkit and a plugin package: one hook for each kind of part.

A package offers parts by an entry point in the group `slmkit` that names a module; the module
answers hooks with functions marked `hookimpl`, each returning a list of `Declaration`.
"""

from __future__ import annotations

import pluggy

from slmkit.api.declare import Declaration

hookspec = pluggy.HookspecMarker("slmkit")
hookimpl = pluggy.HookimplMarker("slmkit")


@hookspec
def slmkit_corpora() -> list[Declaration]:  # type: ignore[empty-body]
    """Offer corpora: classes that keep `slmkit.api.Corpus`."""


@hookspec
def slmkit_texts() -> list[Declaration]:  # type: ignore[empty-body]
    """Offer text tokenizers: classes that keep `slmkit.api.TextTokenizer`."""


@hookspec
def slmkit_tokenizers() -> list[Declaration]:  # type: ignore[empty-body]
    """Offer speech tokenizers: classes that keep `slmkit.api.Tokenizer`."""


@hookspec
def slmkit_vocoders() -> list[Declaration]:  # type: ignore[empty-body]
    """Offer vocoders: classes that keep `slmkit.api.Vocoder`."""


@hookspec
def slmkit_backbones() -> list[Declaration]:  # type: ignore[empty-body]
    """Offer backbones: classes that keep `slmkit.api.Backbone`."""


@hookspec
def slmkit_layouts() -> list[Declaration]:  # type: ignore[empty-body]
    """Offer layouts: classes that keep `slmkit.api.Layout`."""


@hookspec
def slmkit_heads() -> list[Declaration]:  # type: ignore[empty-body]
    """Offer heads: classes that keep `slmkit.api.Head`."""


@hookspec
def slmkit_refiners() -> list[Declaration]:  # type: ignore[empty-body]
    """Offer refiners: classes that keep `slmkit.api.Refiner`."""


@hookspec
def slmkit_decodings() -> list[Declaration]:  # type: ignore[empty-body]
    """Offer decoding strategies: classes that keep `slmkit.api.Decoding`."""


@hookspec
def slmkit_transcribers() -> list[Declaration]:  # type: ignore[empty-body]
    """Offer transcribers: classes that keep `slmkit.api.Transcriber`."""


@hookspec
def slmkit_speaker_encoders() -> list[Declaration]:  # type: ignore[empty-body]
    """Offer speaker encoders: classes that keep `slmkit.api.SpeakerEncoder`."""


@hookspec
def slmkit_metrics() -> list[Declaration]:  # type: ignore[empty-body]
    """Offer metrics: classes that keep `slmkit.api.Metric`."""


@hookspec
def slmkit_stages() -> list[Declaration]:  # type: ignore[empty-body]
    """Offer stages of recipes: functions `(options, context) -> None`."""


HOOK_OF_KIND = {
    "corpus": "slmkit_corpora",
    "text": "slmkit_texts",
    "tokenizer": "slmkit_tokenizers",
    "vocoder": "slmkit_vocoders",
    "backbone": "slmkit_backbones",
    "layout": "slmkit_layouts",
    "head": "slmkit_heads",
    "refiner": "slmkit_refiners",
    "decoding": "slmkit_decodings",
    "transcriber": "slmkit_transcribers",
    "speaker-encoder": "slmkit_speaker_encoders",
    "metric": "slmkit_metrics",
    "stage": "slmkit_stages",
}
