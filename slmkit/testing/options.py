"""The laws of options."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import yaml

from slmkit.api import Can
from slmkit.api.declare import help_of
from slmkit.host import host, make_options


def options_laws(kind: str, name: str, values: Mapping[str, Any] | None = None) -> None:
    """Hold the options of a part on the shelves to what recipes and saved parts do with them.

    `values` are those that have no default. Raises AssertionError, which says what is broken.
    """
    shelved = host().find(kind, name)
    options = make_options(shelved, values or {})
    plain = dataclasses.asdict(options)
    for form, written in (
        ("YAML", yaml.safe_load(yaml.safe_dump(plain))),
        ("JSON", json.loads(json.dumps(plain))),
    ):
        again = dataclasses.asdict(make_options(shelved, written))
        assert again == plain, f"options written as {form} come back as {again}, not {plain}"
    for option, text in help_of(shelved.declaration.options).items():
        assert text, f"the option '{option}' has no help"
    abilities = shelved.declaration.abilities(options)
    assert isinstance(abilities, Can), f"abilities are a Can, not {abilities!r}"
