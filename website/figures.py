"""Figures of docs/ideas.md, drawn by the code that they tell of: `python -m website.figures`."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from website.graph import draw_stages

FIGURES = Path(__file__).resolve().parents[1] / "docs" / "figures"


def codes() -> str:
    """A chirp as `mel-rvq` codes it."""
    import torch

    from slmkit import load
    from slmkit.drawing.codes import heat_map

    rate = 16000
    time = torch.arange(int(1.6 * rate)) / rate
    # 150 Hz rises to 2400 Hz, its loudness in four waves
    chirp = torch.sin(2 * math.pi * 150 * 1.6 / math.log(16) * (16 ** (time / 1.6) - 1))
    wav = (0.4 * chirp * (0.55 + 0.45 * torch.cos(2 * math.pi * 2.5 * time)))[None]
    lengths = torch.tensor([wav.shape[1]])
    tokenizer = load("tokenizer", "mel-rvq", codebooks=4, clusters=64)
    tokenizer.fit([(wav, lengths)])
    made = tokenizer.encode(wav, lengths)
    values, spec = made.values[0].tolist(), made.spec
    return (
        heat_map(values, spec.codebook_sizes, spec.frame_rate, "a chirp in four codebooks") + "\n"
    )


def stages() -> str:
    """The stages of the recipe `speechgpt`, and which of them a longer training of the vocoder
    touches: those whose fingerprints differ."""
    from slmkit.data.content import content_hash
    from slmkit.recipe.fingerprint import fingerprints
    from slmkit.recipe.resolve import resolve
    from slmkit.recipe.shipped import find_recipe

    before = resolve(find_recipe("speechgpt"), None, (), {})
    after = resolve(find_recipe("speechgpt"), None, ["vocoder.steps=2000"], {})
    first, second = fingerprints(before, content_hash), fingerprints(after, content_hash)
    changed = {name for name in first if first[name].digest != second[name].digest}
    needs = {name: stage.needs for name, stage in before.stages.items()}
    return draw_stages(needs, "stages of the recipe speechgpt", changed)


DRAWN: dict[str, Callable[[], str]] = {"codes": codes, "stages": stages}


if __name__ == "__main__":
    for name, draw in DRAWN.items():
        (FIGURES / f"{name}.svg").write_text(draw())
