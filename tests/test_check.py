"""`slmkit check`: parts that break a law each their own way, and what is said of them."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from slmkit.api import SlmkitError
from slmkit.host import host
from slmkit.starter.write import new_plugin
from slmkit.testing.mending import ADVICE, _said, advice
from slmkit.testing.projects import as_if_installed
from slmkit.testing.verdicts import Examination, examine

ROOT = Path(__file__).parents[1]
COUNT = itertools.count()
Change = dict[str, tuple[str, str]]
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A package of a kind, in whose files some text is replaced."""

    def package(kind: str, **changes: tuple[str, str]) -> Path:
        # a module stays imported, so that each package has a name of its own
        folder = new_plugin(f"odd{next(COUNT)}", kind, tmp_path)
        for stem, (old, new) in changes.items():
            (file,) = [f for f in folder.rglob("*") if f.stem == stem and "tests" not in f.parts]
            text = file.read_text()
            assert old in text, f"{file} has no {old!r}"
            file.write_text(text.replace(old, new))
        return folder

    return package


def look(folder: Path) -> Examination:
    with as_if_installed(folder) as name:
        return examine(name)


BROKEN = {
    "the batch is heard": (
        "speaker-encoder",
        {"speaker_encoder": ("        check_waves(wav, lengths)\n",
                             "        check_waves(wav, lengths)\n        wav = wav - wav.mean()\n"
                             "        lengths = lengths * 0 + wav.shape[1]\n")},
        "padding must not count", "cut each row",
    ),
    "nothing is refused": (
        "transcriber",
        {"transcriber": ("        check_waves(wav, lengths)\n", "        check_waves\n")},
        "must raise AudioError", "check_waves",
    ),
    "what was learnt is lost": (
        "text",
        {"text": ('self._learn(json.loads((folder / "words.json").read_text()))', "pass")},
        "saved and restored", "override save and restore",
    ),
    "an option without help": (
        "metric",
        {"plugin": ('"letters of the shortest word that counts"', '""')},
        "has no help", "give it one",
    ),
    "a copy is not the best": (
        "metric",
        {"metric": ('"higher", "text"', '"lower", "text"')},
        "nothing scores better than a copy", "direction",
    ),
    "the future is seen": (
        "backbone",
        {"backbone": ("embedded = embedded + layer(norm(embedded))[0]",
                      "embedded = embedded + layer(norm(embedded))[0].flip(1)")},
        "must not see what comes after", "mask attention",
    ),
    "the wrong codes are allowed": (
        "layout",
        {"layout": ("return (book,) if frame else", "return () if frame else")},
        "is allowed", "every id that `lay` may put there",
    ),
    "a rate that is not kept": (
        "tokenizer",
        {"plugin": ("rate = SAMPLE_RATE / self.hop_length", "rate = 51.0")},
        "declared frame rate: 51.0, found: 50.0", "the declaration's Can",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_law_is_named_with_what_mends_it(case: str, make: Make) -> None:
    kind, changes, law, mend = BROKEN[case]
    found = look(make(kind, **changes))
    (verdict,) = found.verdicts
    assert verdict.status == "broken"
    assert law in verdict.law
    assert mend in verdict.mend
    assert "\n" not in verdict.law + verdict.mend
    assert not found.passed


@pytest.mark.parametrize("kind", ["text", "metric", "transcriber", "speaker-encoder", "backbone"])
def test_the_same_package_unchanged_keeps_them(kind: str, make: Make) -> None:
    found = look(make(kind))
    assert found.passed
    assert [verdict.status for verdict in found.verdicts] == ["kept"]
    assert not found.faults


def test_an_exception_of_the_part_comes_with_its_place(make: Make) -> None:
    folder = make("metric", metric=("due, said = ", "due, said = 1 // 0, "))
    (verdict,) = look(folder).verdicts
    assert verdict.law.startswith("ZeroDivisionError")
    line = (
        (folder / folder.name / "metric.py")
        .read_text()
        .splitlines()
        .index("        due, said = 1 // 0, self._words(reference), self._words(given)")
    )
    assert verdict.where == f"{folder / folder.name / 'metric.py'}:{line + 1}"


FAULTS = {
    "raises": (
        ("from slmkit.api", "import a_module_that_is_absent\nfrom slmkit.api"),
        "cannot be imported: ModuleNotFoundError", "plugin.py:",
    ),
    "misspelt": (("def slmkit_texts", "def slmkit_text"), "unknown hook 'slmkit_text'", ""),
    "empty": (("return [", "return [] and ["), "none of its hooks offers a part", "Declaration"),
    "bad target": ((".text:", ".text."), "is not 'module:name'", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_a_plugin_that_cannot_be_read_says_why(case: str, make: Make) -> None:
    change, text, mend = FAULTS[case]
    found = look(make("text", plugin=change))
    (fault,) = found.faults
    assert text in fault.text
    assert mend in fault.mend
    assert not found.verdicts
    assert not found.passed


def test_another_slmkit_is_told_before_anything_is_imported(make: Make) -> None:
    folder = make("text", pyproject=(">=0.1,<1", ">=7,<8"), plugin=("from slmkit", "boom; from x"))
    (fault,) = look(folder).faults
    assert "made for slmkit <8,>=7" in fault.text


def test_a_name_that_is_taken_breaks_the_part(make: Make) -> None:
    folder = make("text")
    plugin = folder / folder.name / "plugin.py"
    plugin.write_text(plugin.read_text().replace(f'"{folder.name}"', '"bpe"'))
    (verdict,) = look(folder).verdicts
    assert (verdict.status, verdict.name) == ("broken", "bpe")
    assert "slmkit offers a text of this name too" in verdict.law


def test_what_cannot_be_built_is_not_called_kept(make: Make) -> None:
    lacks = make("text", plugin=("options=Options,", "options=Options, requires=('absent_one',),"))
    found = look(lacks)
    (verdict,) = found.verdicts
    assert (verdict.status, verdict.law) == ("unchecked", "needs absent_one")
    assert verdict.mend == "pip install absent_one"
    assert not found.passed
    asks = make("text", plugin=('option(200, "at', 'option(help="at'))
    (verdict,) = look(asks).verdicts
    assert (verdict.status, verdict.law) == ("unchecked", "has no default for words")
    assert f'slmkit_check_part("text", "{asks.name}", {{"words": ...}})' in verdict.mend


def test_the_search_path_and_the_shelves_are_left_as_they_were(make: Make) -> None:
    before, parts = list(sys.path), [part.name for part in host().parts()]
    folder = make("text")
    with as_if_installed(folder) as name:
        assert name == folder.name
        assert host().find("text", name).distribution == name
    assert sys.path == before
    assert [part.name for part in host().parts()] == parts


def test_sources_may_lie_in_src(make: Make) -> None:
    folder = make("text")
    (folder / "src").mkdir()
    (folder / folder.name).rename(folder / "src" / folder.name)
    assert look(folder).passed


PROJECTS = {
    "nothing": (None, "no pyproject.toml: install it"),
    "broken": ("[project", "not TOML"),
    "nameless": ("[project]\nversion = '1'", "has no name"),
    "no entry": ("[project]\nname = 'x'", "no entry point in the group 'slmkit'"),
    "dynamic": ("[project]\nname = 'x'\ndynamic = ['entry-points']", "pip install -e"),
    "elsewhere": (
        "[project]\nname = 'x'\n[project.entry-points.slmkit]\nx = 'x_inside.plugin'",
        "its module 'x_inside' lies neither there nor in src/: install it",
    ),
}


@pytest.mark.parametrize("case", PROJECTS)
def test_a_folder_that_does_not_say_enough_is_refused(case: str, tmp_path: Path) -> None:
    text, reason = PROJECTS[case]
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(SlmkitError, match=re.escape(reason)) as caught:
        look(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_package_that_offers_nothing_is_told_how_to() -> None:
    with pytest.raises(SlmkitError, match=r"pytest \S+: no entry point in the group 'slmkit'"):
        examine("pytest")
    with pytest.raises(
        SlmkitError, match=r"no package 'slmkitt' is installed; did you mean slmkit"
    ):
        examine("slmkitt")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "slmkit", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, env={**os.environ, "NO_COLOR": ""})


@pytest.mark.slow
def test_the_command_ends_with_what_it_found(make: Make) -> None:
    folder = make("metric", metric=("due, said = ", "print('noise'); due, said = "))
    done = run("check", folder, "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["passed"]) == (0, True)
    assert found["verdicts"][0]["status"] == "kept"
    assert "noise" in done.stderr
    heavy = make("metric", plugin=("from dataclasses", "import torch\nfrom dataclasses"))
    done = run("check", heavy)
    assert done.returncode == 1
    assert "imports torch" in done.stdout
    assert run("check", "a-package-that-is-not-there").returncode == 2


def test_advice_is_for_laws_that_there_are() -> None:
    """What the laws say may change; advice that nothing leads to would never be seen."""
    files = (ROOT / "slmkit" / "testing").glob("*.py")
    source = " ".join(f.read_text() for f in files if f.name != "mending.py")
    for words, mend in ADVICE:
        assert _said(words) in source, words
        assert mend
    assert advice("a law that nobody has heard of") == ""
    assert advice("row 2 alone differs from the batch by 0.3").startswith("let no row")
