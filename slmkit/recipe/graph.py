"""The order of a recipe's stages: what each needs, and what lies below it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Needs = Mapping[str, Sequence[str]]
"""For each stage, in the recipe's order, the stages that it needs."""


def bridged(needs: Sequence[str], removed: Needs) -> list[str]:
    """Needs in which a stage that was taken out gives way to what it needed itself."""
    found: list[str] = []
    seen: set[str] = set()
    waiting = list(needs)
    while waiting:
        stage = waiting.pop(0)
        if stage in seen:
            continue
        seen.add(stage)
        if stage in removed:
            waiting = [*removed[stage], *waiting]
        else:
            found.append(stage)
    return found


def in_order(needs: Needs) -> list[str]:
    """The stages so that each comes after what it needs, else as the recipe lists them.

    Stages in a cycle, and what hangs on them, are left out.
    """
    ordered: list[str] = []
    waiting = list(needs)
    while True:
        ready = next((s for s in waiting if all(n in ordered for n in needs[s])), None)
        if ready is None:
            return ordered
        ordered.append(ready)
        waiting.remove(ready)


def cycle(needs: Needs) -> list[str]:
    """A round of stages that need each other, the first repeated at the end; or nothing."""
    stuck = set(needs) - set(in_order({s: [n for n in needs[s] if n in needs] for s in needs}))
    if not stuck:
        return []
    path = [next(stage for stage in needs if stage in stuck)]
    while True:
        path.append(next(need for need in needs[path[-1]] if need in stuck))
        if path[-1] in path[:-1]:
            return path[path.index(path[-1]) :]


def above(stage: str, needs: Needs) -> list[str]:
    """All stages that a stage needs, the nearest first."""
    found: list[str] = []
    level: Iterable[str] = needs[stage]
    while level:
        fresh = [name for name in dict.fromkeys(level) if name not in found]
        # of equally near stages the later one in the recipe has the last word
        order = list(needs)
        found += sorted(fresh, key=order.index, reverse=True)
        level = [need for name in fresh for need in needs[name]]
    return found


def below(stage: str, needs: Needs) -> set[str]:
    """All stages that need a stage, and those that need them."""
    return {name for name in needs if stage in above(name, needs)}
