"""Which differences between tokenizers are real: a paired bootstrap over utterances.

Two lines of a table are compared on the utterances that both have, which are drawn once for both
(Bisani and Ney 2004). A difference is real where its 95% interval leaves out 0. Of twenty
comparisons of equals one will look real: nothing is corrected for how many are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from slmkit.api import DataError
from slmkit.benchmark.row import Value
from slmkit.benchmark.standing import Line, Table
from slmkit.data.intervals import Difference, paired_difference, paired_differences

Standing = Literal["best", "level", "behind", "unknown", ""]
"""Of a value beside the best: the best itself, not told apart from it, worse, never compared."""


Matrix = list[list[Difference | None]]
"""[i][j]: line i less line j; None where they cannot be compared."""


def matrix(table: Table, metric: str) -> Matrix:
    """All lines of a table against all."""
    lines = table.lines
    found: Matrix = [[None] * len(lines) for _ in lines]
    by_items: dict[tuple[str, ...], list[int]] = {}
    for place, line in enumerate(lines):
        if line.items(metric):
            by_items.setdefault(tuple(sorted(line.items(metric))), []).append(place)
    for names, places in by_items.items():
        systems = [[lines[place].items(metric)[name] for name in names] for place in places]
        all_to_all = paired_differences(systems)
        for i, place in enumerate(places):
            for j, other in enumerate(places):
                if place != other:
                    found[place][other] = Difference(*all_to_all[i][j], len(names))
    groups = list(by_items.values())
    for i, group in enumerate(groups):
        for other_group in groups[i + 1 :]:
            _across(lines, metric, group, other_group, found)
    return found


def _across(
    lines: Sequence[Line], metric: str, group: list[int], other_group: list[int], found: Matrix
) -> None:
    """Lines that do not have the same utterances are compared on those that they share."""
    for place in group:
        for other in other_group:
            ours, theirs = lines[place].items(metric), lines[other].items(metric)
            shared = sorted(ours.keys() & theirs.keys())
            try:
                value, low, high = paired_difference(
                    [ours[name] for name in shared], [theirs[name] for name in shared]
                )
            except DataError:
                continue  # nothing is shared, or nothing of any length
            found[place][other] = Difference(value, low, high, len(shared))
            found[other][place] = Difference(-value, -high, -low, len(shared))


def standings(table: Table, metric: str, differences: Matrix) -> list[Standing]:
    """Of each line, where it stands beside the one of the best value; nothing for the recordings
    themselves, and where nobody is best."""
    if table.unranked(metric):
        return ["" for _ in table.lines]
    values = [None if line.reference else line.get(metric) for line in table.lines]
    numbers = [value.value if isinstance(value, Value) else None for value in values]
    first = table.first(metric)
    known = [number for number in numbers if number is not None]
    if first is None or len(known) < 2:
        return ["" for _ in values]
    best = min(known) if first.direction == "lower" else max(known)
    leader = numbers.index(best)
    counted = [isinstance(value, Value) and value.low == value.high for value in values]
    found: list[Standing] = []
    for place, number in enumerate(numbers):
        difference = differences[place][leader]
        if number is None:
            found.append("")
        elif number == best:
            found.append("best")
        elif difference is None:
            # what has no interval is a count: no draw of utterances would change it
            found.append("behind" if counted[place] and counted[leader] else "unknown")
        else:
            found.append("behind" if difference.real else "level")
    return found
