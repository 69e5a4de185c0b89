"""The losses of a training, read back from its logs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

Curve = Sequence[tuple[int, float]]
"""(step, value) pairs."""


def curves_of(folder: Path) -> dict[str, Curve]:
    """Scalars by name from the TensorBoard logs below a stage's folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    curves: dict[str, list[tuple[int, float]]] = {}
    for place in sorted({file.parent for file in folder.rglob("events.out.tfevents.*")}):
        events = EventAccumulator(str(place), size_guidance={"scalars": 0})
        events.Reload()
        for name in events.Tags()["scalars"]:
            if "loss" in name:
                points = [(event.step, event.value) for event in events.Scalars(name)]
                curves.setdefault(name, []).extend(points)
    return {name: sorted(dict(points).items()) for name, points in curves.items()}
