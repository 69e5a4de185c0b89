"""Which class a part of each kind must derive from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slmkit.api.contracts import (
    Backbone,
    Corpus,
    Metric,
    SpeakerEncoder,
    TextTokenizer,
    Tokenizer,
    Transcriber,
    Vocoder,
)
from slmkit.api.decoding import Decoding, Head, Layout, Refiner

CONTRACT_OF_KIND: Mapping[str, type[Any]] = {
    "corpus": Corpus,
    "text": TextTokenizer,
    "tokenizer": Tokenizer,
    "vocoder": Vocoder,
    "backbone": Backbone,
    "layout": Layout,
    "head": Head,
    "refiner": Refiner,
    "decoding": Decoding,
    "transcriber": Transcriber,
    "speaker-encoder": SpeakerEncoder,
    "metric": Metric,
}
"""The class that a part of each kind must derive from; a stage is a plain function."""
