"""The laws of decoding strategies and of heads. Letters: b (batch), s (stream), l (step)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from slmkit.api import CodeSpec, Decoding, Head, MisfitError
from slmkit.host import host, make_options

SPECS = (
    CodeSpec(16000, 320, (500,)),
    CodeSpec(16000, 320, (500,), deduplicated=True),
    CodeSpec(24000, 320, (1024,) * 8),
)
WIDTH, SIZES = 16, (5, 7)


def decoding_laws(make: Callable[[], Decoding]) -> None:
    """Hold a decoding strategy to its contract. Raises AssertionError, which says what is broken.

    What its generators name has to stand on the shelves.
    """
    fits = 0
    for spec in SPECS:
        try:
            plan = make().plan(spec)
        except MisfitError:
            continue
        fits += 1
        assert plan, "a strategy has at least one generator"
        assert make().plan(spec) == plan, "the same codes, the same plan"
        generator, *rest = plan
        make_options(host().find("layout", generator.layout), generator.layout_options)
        make_options(host().find("head", generator.head), generator.head_options)
        made = generator.codebooks or spec.codebooks
        complete = made == spec.codebooks or len(rest) == 1
        assert complete, f"{made} of {spec.codebooks} codebooks are made, and nothing refines them"
        for refinement in rest:
            make_options(host().find("refiner", refinement.refiner), refinement.options)
    assert fits, f"it fits none of {len(SPECS)} common kinds of codes"


def head_laws(make: Callable[[int, tuple[int, ...]], Head], folder: Path) -> None:
    """Hold a head to its contract; `make(width, sizes)` builds it, with whatever weights.

    Raises AssertionError, which says what is broken.
    """
    part = _still(make(WIDTH, SIZES))
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 4, WIDTH, generator=generator)
    tokens = torch.stack([torch.randint(n, (3, 4), generator=generator) for n in SIZES], dim=1)
    with torch.no_grad():
        scores = part.logits(hidden, tokens)
        shapes = [list(each.shape) for each in scores]
        assert shapes == [[3, 4, n] for n in SIZES], f"scores are [b, l, size]: {shapes}"
        for stream, size in enumerate(SIZES):
            rows = part.rows(stream)
            assert rows.shape[0] == size, f"stream {stream} has a row of weights for each token"
        _samples_what_it_scores(part, hidden)
        _steps_apart(part, hidden, tokens, scores)
        part.save(folder)
        restored = _still(make(WIDTH, SIZES))
        restored.restore(folder)
        for mine, theirs in zip(scores, restored.logits(hidden, tokens), strict=True):
            assert torch.equal(mine, theirs), "saved and restored, it scores the same"


def _still(part: Head) -> Head:
    module: object = part
    assert isinstance(module, torch.nn.Module), "a head is a torch Module"
    module.eval()
    return part


def _samples_what_it_scores(part: Head, hidden: Tensor) -> None:
    """Tokens that are picked by the highest score have it, too, when they are given."""
    for step in range(hidden.shape[1]):
        found = part.sample(hidden[:, step], lambda scores, _: scores.argmax(dim=-1))
        assert found.shape == (len(hidden), len(SIZES)), "sampled tokens are [b, s]"
        given = part.logits(hidden[:, step : step + 1], found[:, :, None])
        for stream, scores in enumerate(given):
            assert torch.equal(scores[:, 0].argmax(dim=-1), found[:, stream]), (
                f"stream {stream}: sampling and scoring disagree"
            )


def _steps_apart(part: Head, hidden: Tensor, tokens: Tensor, scores: list[Tensor]) -> None:
    """A step's scores depend on nothing of another step."""
    for step in range(hidden.shape[1]):
        here = slice(step, step + 1)
        for one, all_ in zip(part.logits(hidden[:, here], tokens[:, :, here]), scores, strict=True):
            apart = float((one[:, 0] - all_[:, step]).abs().max())
            assert apart <= 1e-5, f"step {step} alone is scored otherwise (by {apart:g})"
