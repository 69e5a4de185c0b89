"""Whatever stands in a recipe, reading it ends well or in an error of ours with a place."""

from __future__ import annotations

import contextlib
import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from toy_plugin import toys  # noqa: F401

from slmkit.api import OptionsError, SlmkitError
from slmkit.recipe.document import read_value
from slmkit.recipe.explain import explain
from slmkit.recipe.fingerprint import fingerprints
from slmkit.recipe.fit import check_fit
from slmkit.recipe.resolve import resolve

pytestmark = pytest.mark.usefixtures("toys")

GOOD: dict[str, Any] = {
    "name": "fuzz",
    "seed": 3,
    "parts": {
        "corpus": {"part": "toy", "sentences": 3},
        "tokenizer": {"part": "toy", "clusters": 200, "rate": "${seed}", "layers": [1, 2]},
        "vocoder": {"part": "toy"},
        "second": {"kind": "tokenizer", "part": "wide", "label": "${parts.tokenizer.clusters}"},
    },
    "stages": {
        "prepare": {"stage": "write", "text": "x"},
        "fit-tokenizer": {"stage": "fit", "slot": "tokenizer", "needs": ["prepare"]},
        "voice": {"stage": "voice", "slots": {"vocoder": "vocoder"}},
        "measure": {"stage": "measure", "needs": ["voice", "fit-tokenizer"]},
    },
    "trainer": {"devices": 1},
    "profiles": {"smoke": {"stages": {"voice": None}, "parts": {"vocoder": None}}},
}

VOCABULARY = """toy wide needy tokenizer corpus part stage needs slots kind prepare voice measure
    clusters fit write smoke ??? ${seed} ${ } ${parts} ${parts.tokenizer} ${x:y} ${oc.env:NO_SUCH}
    ${stages.measure.needs} ${.label} ${..second.label} $ a.b ../x ~ é << no \0"""
WORDS = st.sampled_from(["", *VOCABULARY.split()])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    WORDS,
    st.text(max_size=8),
)
KEYS = st.one_of(WORDS, st.text(max_size=5))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
FAST = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def holders(value: Any) -> list[Any]:
    """Every dict and list of a tree."""
    if isinstance(value, dict):
        return [value, *(h for inner in value.values() for h in holders(inner))]
    if isinstance(value, list):
        return [value, *(h for inner in value for h in holders(inner))]
    return []


@st.composite
def mutated(draw) -> dict[str, Any]:
    """A good recipe with one to four changes."""
    tree = copy.deepcopy(GOOD)
    for _ in range(draw(st.integers(1, 4))):
        holder = draw(st.sampled_from(holders(tree)))
        change = draw(st.sampled_from(["put", "drop", "add", "rename"]))
        if isinstance(holder, list):
            holder.append(draw(VALUES))
            continue
        name = draw(st.sampled_from(list(holder))) if holder else "x"
        if change == "put" or not holder:
            holder[name] = draw(VALUES)
        elif change == "drop":
            del holder[name]
        elif change == "add":
            holder[draw(KEYS)] = draw(VALUES)
        else:
            holder[draw(KEYS)] = holder.pop(name)
    return tree


def dumped(tree: dict[str, Any]) -> str:
    return yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)


def read(text: str, profile: str | None, *overrides: Any) -> None:
    """Read a recipe as the engine does; what can be read must mean the same when told again."""
    path = Path("fuzz.yaml")
    path.write_text(text, encoding="utf-8")
    try:
        recipe = resolve(path, profile, *overrides)
    except OptionsError as error:
        for fault in error.faults:
            assert fault.startswith(("fuzz.yaml", "on the command line")), fault
            assert "\n" not in fault
        return
    except SlmkitError:
        return
    fingerprints(recipe, str)
    told = Path("told.yaml")
    told.write_text(explain(recipe), encoding="utf-8")
    again = resolve(told)
    assert repr(again.plain()) == repr(recipe.plain())
    try:
        check_fit(recipe)
    except SlmkitError:
        return


@FAST
@given(tree=mutated(), profile=st.sampled_from([None, "smoke"]))
def test_mutated_recipes(tree, profile):
    read(dumped(tree), profile)


@FAST
@given(place=st.integers(0, 2000), length=st.integers(0, 5), text=st.text(max_size=6))
@example(place=0, length=0, text="&a [*a, *a]: ")
@example(place=10, length=0, text='"\\Uffffffff"')
@example(place=10, length=0, text="{" * 2000)
@example(place=0, length=9999, text="[" * 5000)
def test_mutated_text(place, length, text):
    good = dumped(GOOD)
    read(good[:place] + text.encode("utf-8", "replace").decode() + good[place + length :], None)


@FAST
@given(
    key=st.lists(st.one_of(KEYS, st.sampled_from(["parts", "stages", "seed"])), max_size=4),
    value=st.one_of(WORDS, st.text(max_size=8)),
)
def test_overrides_in_text(key, value):
    read(dumped(GOOD), None, [f"{'.'.join(key)}={value}"])


@FAST
@given(overrides=st.dictionaries(KEYS, VALUES, max_size=3))
def test_overrides_from_python(overrides):
    read(dumped(GOOD), "smoke", overrides)


@FAST
@given(text=st.text(max_size=20))
def test_values(text):
    with contextlib.suppress(ValueError):
        read_value(text)
