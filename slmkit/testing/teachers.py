"""The laws of what a codec can learn from. Letters: b (batch), n (sample), t (frame), d (width)."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from slmkit.api import Teacher

TOLERANCE = 1e-4
"""Of features, relative to the largest: sums of floats may come out in another order in a batch."""


def teacher_laws(part: Any, wav: Tensor, lengths: Tensor) -> None:
    """Hold a part that declares that it teaches to the contract, on waves [b, n] at its rate; one
    that does not may not be a `Teacher`. Raises AssertionError, which says what is broken.
    """
    origin = getattr(part, "origin", None)
    if origin is not None:
        declared = origin.shelved.declaration.abilities(origin.options).teaches
        assert declared == isinstance(part, Teacher), (
            f"declared teaches={declared}, and {type(part).__name__} is "
            f"{'' if isinstance(part, Teacher) else 'no '}Teacher"
        )
    if not isinstance(part, Teacher):
        return
    spec = part.feature_spec
    features, frames = part.represent(wav, lengths)
    assert features.dim() == 3, "features are [b, t, d]"
    assert features.shape[2] == spec.width, f"features are {spec.width} wide, as the spec says"
    assert not features.requires_grad, "a teacher learns nothing: features have no gradient"
    apart = (frames - lengths / spec.hop_length).abs()
    assert bool((apart <= 2).all()), (
        f"the declared rate is {spec.frame_rate:g} Hz; {lengths.tolist()} samples gave "
        f"{frames.tolist()} frames"
    )
    largest = float(features.abs().max())
    assert largest > 0, "features of sound are not zero"
    for row, (length, count) in enumerate(zip(lengths.tolist(), frames.tolist(), strict=True)):
        alone, own = part.represent(wav[row : row + 1, :length], lengths[row : row + 1])
        assert int(own[0]) == count, f"row {row} alone has another number of frames"
        assert bool(alone[0, :count].isfinite().all()), "features are finite numbers"
        far = float((alone[0, :count] - features[row, :count]).abs().max())
        assert far <= TOLERANCE * largest, f"row {row} alone differs from the batch by {far:g}"
