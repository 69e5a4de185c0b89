"""The versions that `make setup` installs."""

from __future__ import annotations

import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PINS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("pin", PINS, ids=str)
def test_a_version_is_installed_and_installs_on_the_oldest_python(pin: Requirement) -> None:
    """A pin that the oldest Python refuses lets pip search without end for versions that fit."""
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    installed = distribution(pin.name)
    assert Version(installed.version).public in pin.specifier, "run: make setup"
    wanted = SpecifierSet(installed.metadata["Requires-Python"] or "")
    assert oldest.startswith(">=")
    assert f"{oldest.removeprefix('>=')}.0" in wanted, installed.metadata["Requires-Python"]
