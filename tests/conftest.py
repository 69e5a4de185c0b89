"""Fixtures that several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def speech() -> Path:
    """The folder of recorded speech; tests that ask for it are skipped where it is absent."""
    folder = Path(os.environ.get("SLMKIT_SPEECH", ROOT / ".." / "shared" / "speech")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no recorded speech at {folder} (SLMKIT_SPEECH names it)")
    return folder
