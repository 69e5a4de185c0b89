"""One speaker's words in another's voice, by exchanging codebooks. Letters: k, t (frame)."""

from __future__ import annotations

from dataclasses import replace

import torch

from slmkit.api import Codes, MisfitError


def convert_voice(source: Codes, reference: Codes) -> Codes:
    """The first codebook of `source` with the others of `reference`, as long as `source`.

    Both are one utterance, [1, k, t]. The reference's frames go round in a circle where they are
    too few and are cut where they are too many, as in SpeechTokenizer's one-shot conversion (Zhang
    et al. 2024). It takes a tokenizer whose first codebook holds what is said
    (`Can.semantic_first`). Raises MisfitError for codes of different kinds, of one codebook, or of
    a reference without a frame.
    """
    if source.spec != reference.spec:
        raise MisfitError(
            f"the reference's codes are of another kind than the source's: "
            f"{reference.spec.unlike(source.spec)}"
        )
    if source.spec.codebooks < 2:
        raise MisfitError("codes of one codebook hold no voice of their own to exchange")
    words, voice = source.row(0).values, reference.row(0).values[:, 1:]
    if voice.shape[2] == 0:
        raise MisfitError("the reference has no frame to take a voice from")
    frames = torch.arange(words.shape[2], device=voice.device) % voice.shape[2]
    return replace(source.row(0), values=torch.cat([words[:, :1], voice[:, :, frames]], dim=1))
