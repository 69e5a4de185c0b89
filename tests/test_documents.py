"""What README and docs show is run: Python blocks as they stand, commands by name."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
QUICK = ("list", "show", "config", "doctor", "recipes")
"""Commands that are run as they stand; of others the words are checked."""


def blocks(language: str) -> list[tuple[str, str]]:
    """(where, text) of every fenced block in a language."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text()
        for match in re.finditer(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            line = text[: match.start()].count("\n") + 1
            found.append((f"{document.name}:{line}", match[1]))
    return found


def commands() -> list[tuple[str, list[str]]]:
    """(where, words) of every call of slmkit in the shell blocks, comments left out."""
    found = []
    for where, text in blocks("sh"):
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0].endswith("slmkit"):
                found.append((where, words[1:]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("where", "text"), blocks("python"))
def test_python_blocks_run(
    where: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(text, where, "exec"), {"__name__": "example"})


@pytest.mark.parametrize(("where", "words"), commands())
def test_commands_are_as_shown(where: str, words: list[str]) -> None:
    if words[0] == "run":
        words = [*words, "--dry-run"]
    elif words[0] not in QUICK:
        words = [words[0], "--help"]
    done = subprocess.run(
        [sys.executable, "-m", "slmkit", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{where}: {done.stdout}{done.stderr}"
