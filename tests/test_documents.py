"""What README and docs show is run: Python blocks as they stand, and commands on a tiny run.

A block that cannot be run has a line `<!-- not run: REASON -->` right above it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import documents_world as world
import pytest
from omegaconf import OmegaConf

from slmkit.api import SlmkitError
from slmkit.host import check_options, host
from slmkit.recipe.resolve import resolve

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?:^ *<!-- not run: (?P<why>[^\n]+) -->\n)?^(?P<indent> *)```(?P<language>\w*)\n"
    r"(?P<text>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)
LANGUAGES = {"python", "py", "sh", "yaml", "toml", "json", "text", "console", ""}
"""Of blocks; `py` are pieces of the tutorial's files, which tests/test_third_party.py compares;
`text`, `console` and none are figures and outputs."""
WHOLE_RUNS = {"run"}
"""Commands that would take long: run with `--dry-run`, unless they ask for the profile `smoke`."""
NO_SPEECH = "nothing was written"
"""What a model says that was asked to speak and has learnt next to nothing."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a document; `why` says what keeps it from being run."""

    document: str
    line: int
    language: str
    text: str
    why: str

    @property
    def where(self) -> str:
        return f"{self.document}:{self.line}"


@cache
def all_blocks() -> tuple[Block, ...]:
    found = []
    for document in DOCUMENTS:
        text = document.read_text()
        for match in BLOCK.finditer(text):
            line = text[: match.start("language")].count("\n") + 1
            lines = match["text"].splitlines()
            inside = "\n".join(each.removeprefix(match["indent"]) for each in lines) + "\n"
            why = match["why"] or ""
            found.append(Block(document.name, line, match["language"], inside, why))
    return tuple(found)


def blocks(language: str) -> list[Block]:
    """The blocks in a language that are to be run."""
    return [block for block in all_blocks() if block.language == language and not block.why]


def commands(block: Block) -> list[list[str]]:
    """The words of every line of a shell block, comments left out."""
    lines = [shlex.split(line, comments=True) for line in block.text.splitlines()]
    return [words for words in lines if words]


def is_slmkit(words: list[str]) -> bool:
    return words[0].endswith("slmkit")


def test_every_block_is_of_a_language_that_is_looked_at() -> None:
    for block in all_blocks():
        assert block.language in LANGUAGES, f"{block.where}: ```{block.language}"
        if block.why:
            assert len(block.why) > 8, f"{block.where}: a reason says why"
    # nothing that looks like a block is overlooked
    for document in DOCUMENTS:
        fences = re.findall(r"^ *```", document.read_text(), re.MULTILINE)
        count = sum(block.document == document.name for block in all_blocks())
        assert len(fences) == 2 * count, document.name


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.where)
def test_python_blocks_run(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # the block may declare classes whose module is looked up
    exec(compile(block.text, block.where, "exec"), {"__name__": "example"})


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.where)
def test_toml_blocks_can_be_read(block: Block) -> None:
    assert tomllib.loads(block.text)


@pytest.mark.parametrize("block", blocks("json"), ids=lambda block: block.where)
def test_json_blocks_can_be_read(block: Block) -> None:
    assert json.loads(block.text)


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.where)
def test_yaml_blocks_name_parts_that_are_there(block: Block, tmp_path: Path) -> None:
    values: Any = OmegaConf.to_container(OmegaConf.create(block.text), resolve=True)
    for slot, entry in values.get("parts", {}).items():
        _check_entry(entry.get("kind", slot), "part", entry)
    for entry in values.get("stages", {}).values():
        _check_entry("stage", "stage", entry)
    if {"parts", "stages"} <= set(values):
        recipe = tmp_path / "recipe.yaml"
        recipe.write_text(f"name: example\n{block.text}")
        assert resolve(recipe, None, (), {}).stages


def _check_entry(kind: str, key: str, entry: dict[str, Any]) -> None:
    part = host().find(kind, entry[key])
    given = {k: v for k, v in entry.items() if k not in (key, "kind", "needs", "slots")}
    _, faults = check_options(part, given)
    assert not faults


@pytest.mark.parametrize("block", blocks("sh"), ids=lambda block: block.where)
def test_what_is_not_slmkit_is_there(block: Block) -> None:
    for words in commands(block):
        if is_slmkit(words):
            continue
        if words[0] == "make":
            for target in words[1:]:
                assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        elif words[0] in ("bash", "source", "cd"):
            assert words[1].startswith(".venv/") or (ROOT / words[1]).exists()
        else:
            program = Path(words[0])
            assert program.parent == Path(".venv/bin"), f"{block.where}: {words[0]}"
            assert Path(sys.executable).with_name(program.name).exists(), program.name


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with what a page's commands name; runs are made once, and copied."""
    made = tmp_path_factory.mktemp("made")

    def furnish(text: str, package: Any) -> Path:
        folder = tmp_path_factory.mktemp("world")
        world.furnish(folder)
        if "encodec_24khz" in text:
            world.add_encodec(folder)
        if "speechtokenizer/" in text:
            world.add_speechtokenizer(folder, package("speechtokenizer"))
        for name in world.RUNS:
            if f"runs/{name} " in text.replace("\n", " "):
                if not (made / "runs" / name).exists():
                    world.add_run(made, name)
                shutil.copytree(made / "runs" / name, folder / "runs" / name)
        return folder

    return furnish


def shown(document: str) -> Iterator[tuple[str, list[str]]]:
    """(where, words) of every command of slmkit in a document, in its order."""
    for block in blocks("sh"):
        if block.document == document:
            yield from ((block.where, words[1:]) for words in commands(block) if is_slmkit(words))


WITH_COMMANDS = [file.name for file in DOCUMENTS if list(shown(file.name))]


@pytest.mark.slow
@pytest.mark.parametrize("document", WITH_COMMANDS)
def test_commands_run_one_after_the_other(
    document: str, furnished: Callable[..., Path], request: pytest.FixtureRequest
) -> None:
    lines = list(shown(document))
    text = " \n".join(" ".join(words) for _, words in lines) + " "
    folder = furnished(text, request.getfixturevalue)
    for where, words in lines:
        runs = [word for word in words[1:] if word.startswith("runs/")]
        if words[0] not in WHOLE_RUNS and not all((folder / name).exists() for name in runs):
            words = [words[0], "--help"]  # a run that is not made here: see RUNS
        if words[0] in WHOLE_RUNS and not {"smoke", "--dry-run"} & set(words):
            words = [*words, "--dry-run"]
        done = subprocess.run(
            [sys.executable, "-m", "slmkit", *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
        )
        if NO_SPEECH in done.stderr and words[0] in ("ask", "speak"):
            continue
        assert done.returncode == 0, f"{where}: {' '.join(words)}\n{done.stdout}{done.stderr}"


def test_a_wrong_block_is_found(tmp_path: Path) -> None:
    """The tests above hold nothing if they let everything pass."""
    with pytest.raises(SlmkitError):
        _check_entry("tokenizer", "part", {"part": "mel-kmm"})
    with pytest.raises(AssertionError):
        _check_entry("tokenizer", "part", {"part": "mel-km", "cluster": 3})
    wrong = Block("x.md", 1, "sh", "make nothing-of-that-name\n", "")
    with pytest.raises(AssertionError):
        test_what_is_not_slmkit_is_there(wrong)
    match = BLOCK.search("<!-- not run: takes a day -->\n```sh\nmake run\n```\n")
    assert match is not None
    assert match["why"] == "takes a day"
