"""OmegaConf's interpolations (`${parts.tokenizer.clusters}`), filled in one by one."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from slmkit.recipe.document import Key


def interpolate(values: dict[str, Any]) -> list[tuple[Key, str]]:
    """Fill in the interpolations of a tree in place; returns the keys that fail, and why."""
    places = [(key, index) for key, index in _places(values, ())]
    if not places:
        return []
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    faults: list[tuple[Key, str]] = []
    good: list[tuple[Any, Any, Any]] = []
    well_formed = copy.deepcopy(values)
    for key, steps in list(places):
        holder, last = _holder(well_formed, steps)
        try:
            OmegaConf.create([holder[last]])
        except (OmegaConfBaseException, RecursionError) as error:
            # one that cannot be read would keep OmegaConf from reading any
            holder[last] = None
            places.remove((key, steps))
            faults.append((key, f"cannot be filled in: {_reason(error)}"))
    config = OmegaConf.create(well_formed)
    for key, steps in places:
        node: Any = config
        try:
            for step in steps:
                node = node[step]
            if OmegaConf.is_config(node):
                node = OmegaConf.to_container(node, resolve=True)
        except (OmegaConfBaseException, RecursionError, ValueError, TypeError) as error:
            faults.append((key, f"cannot be filled in: {_reason(error)}"))
        else:
            good.append((*_holder(values, steps), node))
    for holder, last, value in good:
        holder[last] = value
    return faults


def _reason(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def _places(value: Any, steps: tuple[Any, ...]) -> Iterator[tuple[Key, tuple[Any, ...]]]:
    """The key and the exact steps (list positions too) of every text that interpolates."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _places(inner, (*steps, name))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            yield from _places(inner, (*steps, position))
    elif isinstance(value, str) and "${" in value:
        yield tuple(step for step in steps if isinstance(step, str)), steps


def _holder(values: Any, steps: tuple[Any, ...]) -> tuple[Any, Any]:
    for step in steps[:-1]:
        values = values[step]
    return values, steps[-1]
